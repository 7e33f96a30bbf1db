// What the view store and its scripts for Redis have in common.

/** For how many leases a replica that has many bindings to write back may hold up the others. */
export const MOST_LEASES_CLOSED = 10;
/** Changes of views that are kept. */
export const MOST_EVENTS = 1_000;
/**
 * A share of a lease. Live replicas sync three times per lease. If none has synced for this long, the fencing token
 * expires, and a later sync concludes that the clock was set.
 */
export const OVERDUE_SHARE = 0.5;
/** The operators' acts that a shared store keeps for each pool. */
export const MOST_ACTS = 50_000;
/** The same for an embedded store, which writes all of them with each act. */
export const MOST_LOCAL_ACTS = 5_000;
/** With how many of the last acts a new one is compared, to count repeats instead of listing them. */
export const COMPARED_ACTS = 20;
export const REPEATED_WITHIN_MS = 600_000;
