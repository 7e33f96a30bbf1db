import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { ProbesOfPools } from '../../../src/wiring/watched-probes.ts';

const DAY_MS = 86_400_000;

let log: Record<string, unknown>[];

beforeEach(() => {
  log = [];
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 20, 12) });
});

afterEach(() => {
  vi.useRealTimers();
});

function probesWith(health: string): ProbesOfPools {
  const { config } = loadConfig({
    text: `pools: [{ name: ici, instances: [{ id: a, url: 'http://127.0.0.1:1' }], health: ${health} }]`,
    env: {},
  });
  const sink = new Writable({
    write(line, _encoding, done) {
      log.push(JSON.parse(String(line)));
      done();
    },
  });
  return new ProbesOfPools(config, pino({}, sink), new Metrics({ processMetrics: false }));
}

/** A probe that passes after this time; it is a minute since the one before. */
function pass(probes: ProbesOfPools, tookMs: number): void {
  vi.setSystemTime(Date.now() + 60_000);
  const times = { startedAt: Date.now() - tookMs, endedAt: Date.now(), lateAtStart: 0, lateAtEnd: 0 };
  probes.of('ici').observed('a', { observation: { passed: true, incarnation: 'i1' }, ...times, waitedMs: 0 });
  probes.of('ici').look();
}

test.each([
  ['{}', 'careful', ['careful', 'balanced', 'fast']],
  ['{ profile: fast }', 'fast', ['careful', 'balanced', 'fast']],
  [
    '{ interval: 1s, fastInterval: 200ms, timeout: 600ms, fall: 3 }',
    'balanced',
    ['careful', 'balanced', 'fast'],
  ],
  ['{ profile: fast, fall: 4 }', undefined, ['careful', 'balanced', undefined, 'fast']],
])('the setting %s is judged beside the profiles, as %s', (health, present, all) => {
  const { settings } = probesWith(health).of('ici').conclusion;
  expect(settings.map(({ profile }) => profile)).toEqual(all);
  expect(settings.filter(({ isPresent }) => isPresent).map(({ profile }) => profile)).toEqual([present]);
});

test('the log says once a day what the probes show, and at once when the advice changes', () => {
  const probes = probesWith('{}');
  for (let minutes = 0; minutes < (2 * DAY_MS) / 60_000; minutes += 1) pass(probes, 5);
  pass(probes, 2_000);
  const since = '2026-11-20T12:01:00.000Z';
  const told = log.map(({ level, msg, pool, before, advice, since: from }) => [
    ...[level, msg, pool, before, advice, from],
  ]);
  expect(told).toEqual([
    [30, 'answer times of probes', 'ici', undefined, 'unsure', since],
    [30, 'advice on health.profile', 'ici', 'unsure', 'fast', since],
    [30, 'answer times of probes', 'ici', undefined, 'fast', since],
    [30, 'advice on health.profile', 'ici', 'fast', 'keep', since],
  ]);
  expect(log.at(-1)?.['text']).toMatch(/^over 2d a running instance could have counted as down so often: /);
});

test('a controller takes over what an earlier one kept; one of an earlier release has kept nothing', () => {
  const before = probesWith('{}');
  pass(before, 5);
  pass(before, 5);
  const after = probesWith('{}');
  after.inherit(undefined);
  expect(after.of('ici').of('a').since).toBeUndefined();
  // The message passes through the workers.
  after.inherit(structuredClone(before.kept));
  expect(after.of('ici').of('a')).toMatchObject({ since: Date.now() - 60_000, watchedMs: 60_000 });
});
