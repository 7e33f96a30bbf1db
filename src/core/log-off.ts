// A store may know the time of an agent's last request in steps of this length.
const STEP_MS = 64;

/**
 * Has the agent of this binding logged off, and sent no request since? Every request restarts a whole lifetime, and only a
 * log-off lets a binding end sooner.
 *
 * @param end when it ends
 * @param usedAt when a request of the agent last restarted the lifetime, or a log-off shortened it; `undefined` if that
 *   is not known
 */
export function hasLoggedOff(end: number, usedAt: number | undefined, idleLifetimeMs: number): boolean {
  return usedAt !== undefined && end < usedAt + idleLifetimeMs - STEP_MS;
}
