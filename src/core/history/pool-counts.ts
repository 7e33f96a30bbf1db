import type { InstanceId } from '../instance.ts';

/** The classes of answers, in the order of {@link PoolCounts.answers}. */
export const ANSWER_CLASSES = ['2xx', '3xx', '4xx', '5xx'] as const;

export interface InstanceCounts {
  /** Attempts at the instance that have ended. */
  readonly requests: number;
  readonly failures: number;
}

/** What one worker counted of a pool in one second. Only what is not 0 is in the maps. */
export interface PoolCounts {
  /** Ended requests by the class of their answer. */
  readonly answers: readonly number[];
  /** The gateway's own error answers by code. */
  readonly errors: ReadonlyMap<string, number>;
  /** Ended requests by `latencyBucket`. */
  readonly latencies: ReadonlyMap<number, number>;
  readonly instances: ReadonlyMap<InstanceId, InstanceCounts>;
}

/** By pool; those without a request are missing. */
export type CountsOfSecond = ReadonlyMap<string, PoolCounts>;

// Timers may fire a little early.
const EARLY_MS = 50;

/** The second that ends at this time, in seconds since the Unix epoch. */
export function secondBefore(ms: number): number {
  return Math.floor((ms + EARLY_MS) / 1_000) - 1;
}
