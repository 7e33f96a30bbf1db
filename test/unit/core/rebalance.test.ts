import { expect, test } from 'vitest';
import { HEARD_LEASES, heardWithinMs } from '../../../src/core/rebalance.ts';

test('a log-off is known everywhere after a lease, a ping and two command time-outs', () => {
  expect(heardWithinMs(3_000, 100)).toBe(7_000);
  expect(heardWithinMs(3_000, 1_500)).toBe(8_000);
});

test.each([3_000, 4_000, 10_000, 60_000])(
  'a gateway with a lease of 3 s waits for one with %i ms and the longest command time-out for that',
  (longest) => {
    // The store counts whole milliseconds.
    const waited = Math.ceil(heardWithinMs(3_000, 100) + (longest - 3_000) * HEARD_LEASES);
    expect(waited).toBeGreaterThanOrEqual(longest + 1_000 + 2 * Math.floor(longest / 3) + 1_000);
  },
);
