import { expect, test } from 'vitest';
import { LastHour } from '../../../src/telemetry/last-hour.ts';

const MINUTE = 60_000;

test('counts of the last hour are summed, the greatest first, and older ones are dropped', () => {
  const counts = new LastHour();
  counts.inc('ici', 'old', 0);
  for (const now of [10 * MINUTE, 30 * MINUTE, 59 * MINUTE]) counts.inc('ici', 'often', now);
  counts.inc('ici', 'once', 59 * MINUTE);
  counts.inc('other', 'often', 59 * MINUTE);
  expect([...counts.of('ici', 59 * MINUTE)]).toEqual([
    ['often', 3],
    ['old', 1],
    ['once', 1],
  ]);
  expect([...counts.of('ici', 65 * MINUTE)]).toEqual([
    ['often', 3],
    ['once', 1],
  ]);
  // Nothing was counted since, so no slot was begun again.
  expect(counts.of('ici', 200 * MINUTE).size).toBe(0);
  expect(counts.of('unknown', 59 * MINUTE).size).toBe(0);
});

test('clients that invent keys do not fill the memory', () => {
  const counts = new LastHour<string>(2, '(others)');
  for (let i = 0; i < 1_000; i += 1) counts.inc('ici', `key ${i}`, MINUTE);
  counts.inc('ici', 'key 1', MINUTE);
  expect(counts.of('ici', MINUTE)).toEqual(
    new Map([
      ['(others)', 998],
      ['key 1', 2],
      ['key 0', 1],
    ]),
  );
});
