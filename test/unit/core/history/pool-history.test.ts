import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { latencyBucket } from '../../../../src/core/history/latencies.ts';
import type { PoolCounts } from '../../../../src/core/history/pool-counts.ts';
import type { HistoryPart } from '../../../../src/core/history/pool-history.ts';
import { PoolHistory } from '../../../../src/core/history/pool-history.ts';

// The start of a minute, an hour and a day.
const START = 20_000 * 86_400;
const HOUR = 3_600;
const DAY = 24 * HOUR;

function counts(requests: number, { ms = 8, code = '', at = 'a', failures = 0 } = {}): PoolCounts {
  return {
    answers: [requests, 0, 0, 0],
    errors: new Map(code === '' ? [] : [[code, 1]]),
    latencies: new Map([[latencyBucket(ms), requests]]),
    instances: new Map([[at, { requests, failures }]]),
  };
}

const sample = (agents: Readonly<Record<string, number>> = { a: 3 }, inFlight = 1) => ({
  inFlight,
  parked: 0,
  agents: new Map(Object.entries(agents)),
});

const requests = ({ answers }: HistoryPart): unknown => answers['2xx'];

describe('seconds', () => {
  test('a second that was not added is a gap, and one without a request is 0', () => {
    const history = new PoolHistory();
    history.add(START, [counts(5), counts(2)], sample());
    history.add(START + 2, [], sample());
    const part = history.part('second', START, START + 3);
    expect([part.from, part.knownSeconds]).toEqual([START, [1, 0, 1]]);
    expect(requests(part)).toEqual([7, null, 0]);
    expect(part.inFlight).toEqual([1, null, 1]);
    expect(part.latency['p50']?.slice(1)).toEqual([null, null]);
  });

  test('are kept for an hour', () => {
    const history = new PoolHistory();
    for (let second = START; second < START + 2 * HOUR; second += 1)
      history.add(second, [counts(second % 7)], sample());
    const part = history.part('second', START, START + 2 * HOUR);
    expect([part.from, part.knownSeconds.length]).toEqual([START + HOUR, HOUR]);
    expect(new Set(part.knownSeconds)).toEqual(new Set([1]));
    expect((requests(part) as number[])[0]).toBe((START + HOUR) % 7);
  });

  test('of an hour ago do not come back after a gap', () => {
    const history = new PoolHistory();
    history.add(START, [counts(5)], sample());
    history.add(START + HOUR + 1, [counts(1)], sample());
    expect(requests(history.part('second', START + HOUR, START + HOUR + 2))).toEqual([null, 1]);
  });

  test('that come again after the clock was set back replace the earlier ones', () => {
    const history = new PoolHistory();
    for (let second = START; second < START + 90; second += 1) history.add(second, [counts(1)], sample());
    history.forgetFrom(START + 30);
    history.add(START + 31, [counts(9)], sample());
    const part = history.part('second', START + 29, START + 90);
    expect((requests(part) as unknown[]).slice(0, 4)).toEqual([1, null, 9, null]);
    expect(new Set((requests(part) as unknown[]).slice(4))).toEqual(new Set([null]));
    expect(history.part('minute', START, START + 120).knownSeconds).toEqual([1, 0]);
  });
});

describe('minutes', () => {
  test('add counts up, keep the most in flight and the last agents, and say how much is known', () => {
    const history = new PoolHistory();
    history.add(START + 1, [counts(5, { ms: 2 })], sample({ a: 3 }, 9));
    history.add(START + 2, [counts(5, { ms: 90, code: 'GW_NO_INSTANCE' })], sample({ a: 4 }, 2));
    history.add(START + 60, [counts(1)], undefined);
    const part = history.part('minute', START, START + 120);
    expect(part.knownSeconds).toEqual([2, 1]);
    expect(requests(part)).toEqual([10, 1]);
    expect(part.inFlight).toEqual([9, null]);
    expect(part.errors).toEqual({ GW_NO_INSTANCE: [1, 0] });
    expect(part.instances['a']?.agents).toEqual([4, null]);
    const [p50, p99] = [part.latency['p50']?.[0], part.latency['p99']?.[0]];
    expect(Math.abs((p50 as number) / 2 - 1)).toBeLessThan(0.05);
    expect(Math.abs((p99 as number) / 90 - 1)).toBeLessThan(0.05);
  });

  test('are kept for a day', () => {
    const history = new PoolHistory();
    for (let second = START; second < START + 2 * DAY; second += 60)
      history.add(second, [counts(2)], sample());
    const part = history.part('minute', START, START + 2 * DAY);
    expect([part.from, part.knownSeconds.length]).toEqual([START + DAY, DAY / 60]);
    expect(new Set(part.knownSeconds)).toEqual(new Set([1]));
  });
});

test('a removed instance and a rare error are forgotten when their last value is a day old', () => {
  const history = new PoolHistory();
  history.add(START, [counts(1, { at: 'b', code: 'GW_LOOP' })], sample({ a: 1, b: 1 }));
  for (let second = START + 60; second < START + DAY; second += 60)
    history.add(second, [counts(1)], sample({ a: 1 }));
  const { bytes } = history;
  const day = history.part('minute', START, START + DAY);
  expect([Object.keys(day.instances).sort(), Object.keys(day.errors)]).toEqual([['a', 'b'], ['GW_LOOP']]);
  expect(day.instances['b']?.agents.slice(0, 2)).toEqual([1, null]);
  for (let second = START + DAY; second < START + DAY + 180; second += 60)
    history.add(second, [counts(1)], sample({ a: 1 }));
  const later = history.part('minute', START, START + DAY + 180);
  expect([Object.keys(later.instances), Object.keys(later.errors)]).toEqual([['a'], []]);
  expect(history.bytes).toBeLessThan(bytes);
});

test('takes as much memory as deploy/docs/admin-api.md says', () => {
  const history = new PoolHistory();
  history.add(START, [], sample({}));
  const pool = history.bytes;
  history.add(START + 1, [], sample({ a: 1 }));
  const instance = history.bytes - pool;
  history.add(START + 2, [counts(1, { code: 'GW_LOOP' })], sample({ a: 1 }));
  const error = history.bytes - pool - instance;
  for (let second = START + 3; second < START + 100; second += 1)
    history.add(second, [counts(1, { code: 'GW_LOOP' })], sample({ a: 1 }));
  expect(history.bytes).toBe(pool + instance + error);
  const page = readFileSync('deploy/docs/admin-api.md', 'utf8').replaceAll('\n', ' ');
  const said = /at most (\d+) KB of memory for a pool, (\d+) KB for each instance and (\d+) KB/.exec(page);
  expect(said?.slice(1).map(Number)).toEqual(
    [pool, instance, error].map((bytes) => Math.ceil(bytes / 1_024)),
  );
});

test('an answer with many instances begins later, so that it stays bounded', () => {
  const history = new PoolHistory();
  const agents = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`i${i}`, 1]));
  for (let second = START; second < START + HOUR; second += 1) history.add(second, [], sample(agents));
  const { from, knownSeconds } = history.part('second', START, START + HOUR);
  expect(from).toBeGreaterThan(START + HOUR / 2);
  expect([from + knownSeconds.length, knownSeconds.at(-1)]).toEqual([START + HOUR, 1]);
});
