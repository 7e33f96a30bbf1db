import type { HealthState } from './instance.ts';

/** How many equal results in a row turn an instance up or down. */
export interface Thresholds {
  readonly rise: number;
  readonly fall: number;
}

/** The result of a probe. */
export interface Observation {
  readonly passed: boolean;
  /** The incarnation on the health page; `undefined` if it shows none. */
  readonly incarnation?: string | undefined;
  /** The health page shows that the instance has no sessions. */
  readonly isEmpty?: boolean;
  /** This gateway has sent the instance no request for a while. */
  readonly isUnused?: boolean;
  /** The probe failed by its time limit, not by an answer. */
  readonly hasTimedOut?: boolean;
  /** This process could not open a connection, so the probe says nothing about the instance. */
  readonly isOurFault?: boolean;
  /** Why the probe failed, for the log. */
  readonly reason?: string;
}

/** The verdict so far, and how many results in a row contradict it. */
export interface HealthRecord {
  readonly state: HealthState;
  readonly streak: number;
}

export const UNOBSERVED: HealthRecord = Object.freeze({ state: 'unknown', streak: 0 });

/**
 * Adds one probe result to the record. The first result decides at once: a gateway that starts has no earlier verdict
 * to protect.
 */
export function observe(record: HealthRecord, passed: boolean, thresholds: Thresholds): HealthRecord {
  const observed: HealthState = passed ? 'up' : 'down';
  if (record.state === 'unknown') return { state: observed, streak: 0 };
  if (record.state === observed) return record.streak === 0 ? record : { state: observed, streak: 0 };

  const streak = record.streak + 1;
  const needed = passed ? thresholds.rise : thresholds.fall;
  return streak >= needed ? { state: observed, streak: 0 } : { state: record.state, streak };
}
