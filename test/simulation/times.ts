// The defaults of the configuration, all in ms (deploy/docs/configuration.md). No story has a longer lease than this one.
export const LEASE_MS = 3_000;
export const RENEW_MS = LEASE_MS / 3;

/** The times that depend on a gateway's lease. */
export interface LeaseTimes {
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How long a new replica waits for its first lease; a store may lose less than that on a failover. */
  readonly joinMs: number;
  /** A gateway waits for a store that is silent for less. */
  readonly awayMs: number;
  /** A gateway gives up a sync without an answer after this time. */
  readonly answerMs: number;
}

export function timesOf(leaseMs: number): LeaseTimes {
  const third = leaseMs / 3;
  return { leaseMs, renewMs: third, joinMs: third, awayMs: leaseMs * 0.6, answerMs: third };
}
export const PARK_MS = 5_000;
export const PROBE_MS = 2_000;
export const PROBE_FAST_MS = 250;
export const PROBE_TIMEOUT_MS = 1_000;
export const THRESHOLDS = { rise: 2, fall: 3 } as const;
/** The most that a slow client's body, or opening a connection, takes. */
export const SLOW_MS = 3_000;
export const CONNECT_TIMEOUT_MS = 1_000;
/** How long a peer may take to accept a request, and how long it may then say nothing: `wiring/relaying.ts`. */
export const ACCEPT_MS = 1_000;
export const SILENT_MS = 2_000;
export const CUT_OFF_MS = 1_750;
/** A command to the store without an answer fails after this time. */
export const STORE_TIMEOUT_MS = 500;
/** A sync without an answer is in doubt after this time. */
export const DOUBT_MS = 100;
export const RETRY_MS = 100;
export const AWAY_RETRY_MS = 250;

/** From the return of an instance until every replica has seen it. */
export const DETECTION_MS = PROBE_MS + PROBE_FAST_MS * THRESHOLDS.rise + 250;
/** From the last fault's end until all replicas show the same. */
export const CONVERGENCE_MS = 5_000;
