// What the view store and its scripts for Redis have in common.

/** For how many leases a replica that has many bindings to write back may hold up the others. */
export const MOST_LEASES_CLOSED = 10;
export const MOST_EVENTS = 1_000;
/**
 * A share of a lease. Live replicas sync three times per lease. If none has synced for this long, the fencing token
 * expires, and a later sync concludes that the clock was set.
 */
export const OVERDUE_SHARE = 0.5;
