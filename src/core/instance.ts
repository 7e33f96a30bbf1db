export type InstanceId = string;

/** What the operator wants of an instance. */
export type AdminState = 'enabled' | 'draining' | 'disabled';

/** What the replicas concluded. `unknown` until the first verdict. */
export type HealthState = 'unknown' | 'up' | 'down';

/** One instance as the view shows it: a fact sheet, replaced and never changed. */
export interface InstanceState {
  readonly id: InstanceId;
  /** Share of new agents, relative to the other instances; 0 takes none. */
  readonly weight: number;
  /** Order in a failover pool: the lowest is preferred. */
  readonly priority: number;
  readonly admin: AdminState;
  readonly health: HealthState;
  /** The life it is in, as its health page tells; `''` where the page does not tell. */
  readonly incarnation: string;
  /** Earlier lives that were seen to end, the latest last. Bounded. */
  readonly past: readonly string[];
  /** Up again, but not yet proven to have forgotten its old agents. */
  readonly quarantined: boolean;
  /** The last epoch in which bindings to it could be moved; what was learnt of one by then may be outdated. */
  readonly lostAt: number;
}

/** May take agents that have no binding yet, if it is not quarantined, or if all are. */
export function isAssignable(instance: InstanceState): boolean {
  return instance.admin === 'enabled' && instance.health === 'up' && instance.weight > 0;
}

/**
 * May take requests of agents already bound to it.
 *
 * Wider than {@link isAssignable}: a draining instance keeps its own agents
 * until their bindings end, which is the whole point of draining.
 */
export function isUsable(instance: InstanceState): boolean {
  return instance.admin !== 'disabled' && instance.health === 'up';
}
