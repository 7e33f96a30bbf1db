import { beforeEach, describe, expect, test } from 'vitest';
import { WatchedProbes } from '../../../src/health/watched-probes.ts';
import { CAREFUL, DAY, MIDNIGHT, PROFILES } from '../core/probes/planted.ts';

let now: number;
let told: string[];
let probes: WatchedProbes;

const watch = (): WatchedProbes =>
  new WatchedProbes({
    instances: ['a'],
    present: CAREFUL,
    profiles: PROFILES,
    onSilence: () => {},
    onDay: ({ advice }) => told.push(`day: ${advice}`),
    onAdvice: ({ advice }, before) => told.push(`${before} to ${advice}`),
    now: () => now,
  });

/** Probes each minute, and looks after each. */
function isProbed(ms: number, tookMs = 5): void {
  for (const end = now + ms; now < end; ) {
    now += 60_000;
    const [startedAt, endedAt] = [now - tookMs, now];
    const times = { startedAt, endedAt, lateAtStart: 0, lateAtEnd: 0, waitedMs: 0 };
    probes.observed('a', { observation: { passed: true, incarnation: 'i1' }, ...times });
    probes.look();
  }
}

beforeEach(() => {
  now = MIDNIGHT + DAY / 2;
  told = [];
  probes = watch();
});

describe('the log is told', () => {
  test('once a day what holds, and when the advice changes', () => {
    isProbed(2 * DAY);
    expect(told).toEqual(['day: unsure', 'unsure to fast', 'day: fast']);
    told = [];
    isProbed(60_000, 2_000);
    expect(told).toEqual(['fast to keep']);
  });

  test('nothing again by the next controller that has inherited it', () => {
    isProbed(1.2 * DAY);
    const { kept } = probes;
    told = [];
    probes = watch();
    probes.inherit(kept);
    isProbed(600_000);
    expect([told, probes.conclusion.advice]).toEqual([[], 'fast']);
  });
});

test('a pause is in the conclusion at once, and time that passes within a minute', () => {
  isProbed(DAY + 120_000);
  expect(probes.conclusion.advice).toBe('fast');
  isProbed(60_000, 2_900);
  expect(probes.conclusion.advice).toBe('keep');
  const before = probes.conclusion.watchedMs;
  isProbed(60_000);
  expect(probes.conclusion.watchedMs).toBeGreaterThan(before);
});
