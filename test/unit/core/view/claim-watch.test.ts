import { describe, expect, test } from 'vitest';
import { ClaimWatch } from '../../../../src/core/view/claim-watch.ts';
import { BackOff } from '../../../../src/redis/back-off.ts';

const LEASE = 3_000;
const WELL = 2_500;

describe('claims that fail', () => {
  test('are reported after they have failed for long enough while the view store answers', () => {
    const watch = new ClaimWatch(LEASE / 2);
    watch.tick(0, WELL, { error: 'first', firstAgoMs: 0, lastAgoMs: 0 });
    watch.tick(1_400, WELL, { error: 'then', firstAgoMs: 1_400, lastAgoMs: 0 });
    expect(watch.failure).toBeUndefined();
    watch.tick(1_500, WELL, { error: 'last', firstAgoMs: 1_500, lastAgoMs: 0 });
    expect(watch.failure).toBe('last');
    watch.tick(1_600, LEASE / 3, { error: 'late view store', firstAgoMs: 1_600, lastAgoMs: 100 });
    expect(watch.failure).toBe('late view store');
    watch.tick(2_000, WELL, undefined);
    expect(watch.failure).toBeUndefined();
  });

  test('are not reported if no claim was made since', () => {
    const watch = new ClaimWatch(LEASE / 2);
    watch.tick(9_000, WELL, { error: 'once', firstAgoMs: 9_000, lastAgoMs: 8_900 });
    expect(watch.failure).toBeUndefined();
  });

  test('are not reported while the whole store is away, nor right after the view store answers again', () => {
    const watch = new ClaimWatch(LEASE / 2);
    for (let now = 0; now <= 6_000; now += 100) {
      watch.tick(now, 0.95 * LEASE - now, { error: 'away', firstAgoMs: now, lastAgoMs: 0 });
      expect(watch.failure).toBeUndefined();
    }
    watch.tick(7_000, WELL, { error: 'not yet', firstAgoMs: 7_000, lastAgoMs: 0 });
    expect(watch.failure).toBeUndefined();
    watch.tick(7_500, WELL, { error: 'still', firstAgoMs: 7_500, lastAgoMs: 0 });
    expect(watch.failure).toBe('still');
  });

  test('are not reported for a gateway that is alone: its lease has no end', () => {
    const watch = new ClaimWatch(Number.POSITIVE_INFINITY);
    watch.tick(9_000, Number.POSITIVE_INFINITY, { error: 'disk', firstAgoMs: 9_000, lastAgoMs: 0 });
    expect(watch.failure).toBeUndefined();
  });
});

test('attempts to connect slow down until the connection is healthy', () => {
  const backOff = new BackOff();
  const pauses = Array.from({ length: 10 }, () => backOff.next());
  pauses.forEach((pause, i) => {
    const longest = Math.min(50 * 2 ** i, 2_000);
    expect(pause).toBeGreaterThanOrEqual(longest / 2);
    expect(pause).toBeLessThanOrEqual(longest);
  });
  backOff.healthy();
  expect(backOff.next()).toBeLessThanOrEqual(50);
});
