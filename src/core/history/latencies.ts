/**
 * A histogram of durations that processes can add up. Each doubling has eight buckets, so a percentile is known to
 * within 5 %.
 */

const PER_DOUBLING = 8;
const SHORTEST_LOG2 = -4;
/** From 0.06 ms to two minutes. */
export const LATENCY_BUCKETS = 21 * PER_DOUBLING;

export function latencyBucket(ms: number): number {
  const bucket = Math.floor((Math.log2(ms) - SHORTEST_LOG2) * PER_DOUBLING);
  // Also if the duration is 0, whose logarithm is infinite.
  if (!(bucket > 0)) return 0;
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/** The duration in milliseconds that all durations in the bucket are shorter than. */
export function bucketEnd(bucket: number): number {
  return 2 ** ((bucket + 1) / PER_DOUBLING + SHORTEST_LOG2);
}

/**
 * The durations in milliseconds that these shares of all requests do not exceed; not numbers without requests.
 *
 * @param counts by bucket
 * @param shares ascending, such as 0.5 and 0.99
 */
export function percentiles(counts: ArrayLike<number>, shares: readonly number[]): number[] {
  let all = 0;
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket += 1) all += counts[bucket] as number;
  if (all === 0) return shares.map(() => Number.NaN);
  const found: number[] = [];
  let sum = 0;
  for (let bucket = 0; found.length < shares.length; bucket += 1) {
    sum += counts[bucket] as number;
    while (found.length < shares.length && sum >= (shares[found.length] as number) * all)
      found.push(middleOf(bucket));
  }
  return found;
}

function middleOf(bucket: number): number {
  return 2 ** ((bucket + 0.5) / PER_DOUBLING + SHORTEST_LOG2);
}
