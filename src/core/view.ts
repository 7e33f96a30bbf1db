import type { Placement } from './binding.ts';
import type { InstanceId, InstanceState } from './instance.ts';
import { isAssignable } from './instance.ts';

/** `failover`: one active instance for all. `sticky`: agents spread, each stays. */
export type PoolMode = 'failover' | 'sticky';

/**
 * What is known of a pool's instances at one moment. Immutable: a change makes a
 * new view with a greater epoch, so a reader can hold one through a request.
 */
export interface View {
  readonly pool: string;
  readonly epoch: number;
  /** False until every instance was probed once, or the time for that ran out. */
  readonly settled: boolean;
  readonly instances: ReadonlyMap<InstanceId, InstanceState>;
  /** Those that may take new agents, kept ready because every claim needs them. */
  readonly assignable: readonly InstanceState[];
}

export function makeView(
  pool: string,
  epoch: number,
  settled: boolean,
  instances: Iterable<InstanceState>,
): View {
  const byId = new Map<InstanceId, InstanceState>();
  for (const instance of instances) byId.set(instance.id, instance);
  return { pool, epoch, settled, instances: byId, assignable: [...byId.values()].filter(isAssignable) };
}

export function placementAt(instance: InstanceState): Placement {
  return { instance: instance.id, incarnation: instance.incarnation };
}
