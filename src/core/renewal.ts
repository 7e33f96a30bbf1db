// Operators see when an agent last sent a request, so it is kept no less exactly than this.
const LONGEST_MS = 60_000;

/** While an agent sends requests, the lifetime of its binding is restarted in the store this often. */
export function renewalIntervalMs(idleLifetimeMs: number): number {
  return Math.min(idleLifetimeMs / 20, LONGEST_MS);
}
