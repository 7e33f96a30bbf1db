import type { HealthState } from './instance.ts';

/** How many like results in a row turn an instance up, or down. */
export interface Thresholds {
  readonly rise: number;
  readonly fall: number;
}

/** What a probe saw. */
export interface Observation {
  readonly passed: boolean;
  /** The incarnation that the health page showed; `''` where it shows none. */
  readonly incarnation: string;
  /** The health page shows that the instance has no session. */
  readonly isEmpty?: boolean;
  /** It did not pass because its time ran out, not because of what was answered. */
  readonly hasTimedOut?: boolean;
  /** For the log: why it did not pass. */
  readonly reason?: string;
}

/** The verdict so far, and how many results in a row have spoken against it. */
export interface HealthRecord {
  readonly state: HealthState;
  readonly streak: number;
}

export const UNOBSERVED: HealthRecord = Object.freeze({ state: 'unknown', streak: 0 });

/**
 * Folds one probe result into the record. The first result decides at once: a
 * gateway that starts has nothing to be careful about yet.
 */
export function observe(record: HealthRecord, passed: boolean, thresholds: Thresholds): HealthRecord {
  const observed: HealthState = passed ? 'up' : 'down';
  if (record.state === 'unknown') return { state: observed, streak: 0 };
  if (record.state === observed) return record.streak === 0 ? record : { state: observed, streak: 0 };

  const streak = record.streak + 1;
  const needed = passed ? thresholds.rise : thresholds.fall;
  return streak >= needed ? { state: observed, streak: 0 } : { state: record.state, streak };
}
