export type InstanceId = string;

/** What the operator wants of an instance. */
export type AdminState = 'enabled' | 'draining' | 'disabled';

/** The replicas' common verdict. `unknown` until the first one. */
export type HealthState = 'unknown' | 'up' | 'down';

/** One instance in a view. Immutable: changes make a new object. */
export interface InstanceState {
  readonly id: InstanceId;
  /** The instance's share of new agents relative to the others; 0 takes none. */
  readonly weight: number;
  /** Order in a failover pool: the lowest is preferred. */
  readonly priority: number;
  readonly admin: AdminState;
  readonly health: HealthState;
  /** The current incarnation, as the health page shows it; `''` if it shows none. */
  readonly incarnation: string;
  /** Earlier incarnations that are known to have ended, the latest last. Bounded. */
  readonly past: readonly string[];
  /** Up again, but not yet known to have forgotten its old agents. */
  readonly quarantined: boolean;
  /** The last epoch in which bindings to it could be moved. Anything learnt about a binding by then may be outdated. */
  readonly lostAt: number;
}

/** May take agents that have no binding yet, if it is not quarantined, or if all are. */
export function isAssignable(instance: InstanceState): boolean {
  return instance.admin === 'enabled' && instance.health === 'up' && instance.weight > 0;
}

/**
 * May serve agents that are already bound to it.
 *
 * Wider than {@link isAssignable}: a draining instance keeps its own agents until their bindings end, which is the
 * purpose of draining.
 */
export function isUsable(instance: InstanceState): boolean {
  return instance.admin !== 'disabled' && instance.health === 'up';
}
