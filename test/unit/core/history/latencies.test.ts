import { expect, test } from 'vitest';
import { LATENCY_BUCKETS, latencyBucket, percentiles } from '../../../../src/core/history/latencies.ts';

function of(...durations: readonly number[]): number[] {
  const counts = new Float64Array(LATENCY_BUCKETS);
  for (const ms of durations) (counts[latencyBucket(ms)] as number) += 1;
  return percentiles(counts, [0.5, 0.95, 0.99]);
}

test.each([0.07, 0.5, 1, 7.3, 95, 1_000, 59_000])('%d ms are known to within 5 %', (ms) => {
  for (const found of of(ms)) expect(Math.abs(found / ms - 1)).toBeLessThan(0.05);
});

test('shares are those of all requests', () => {
  const [p50, p95, p99] = of(...Array(90).fill(2), ...Array(8).fill(20), 200, 200) as [
    number,
    number,
    number,
  ];
  expect([p50 < 3, p95 > 18 && p95 < 22, p99 > 180]).toEqual([true, true, true]);
});

test('durations beyond the buckets count at the ends', () => {
  expect([0, -1, Number.POSITIVE_INFINITY, 1e9].map(latencyBucket)).toEqual([
    ...[0, 0],
    ...[LATENCY_BUCKETS - 1, LATENCY_BUCKETS - 1],
  ]);
});

test('nothing is known without a request', () => {
  expect(of()).toEqual([Number.NaN, Number.NaN, Number.NaN]);
});
