import type { Placement } from '../binding.ts';
import type { InstanceId, InstanceState } from '../instance.ts';
import { isAssignable, isUsable } from '../instance.ts';

/** `failover`: one active instance for all. `sticky`: agents spread, each stays. */
export type PoolMode = 'failover' | 'sticky';

/**
 * How this gateway's configuration stands to the agreed one. `differs`: it would
 * send agents elsewhere than the others, so it does not serve the pool. `unknown`:
 * that is not decided yet.
 */
export type Fit = 'agreed' | 'differs' | 'unknown';

/**
 * What the replicas agree on about a pool's instances at one moment. Immutable: a
 * change makes a new view with a greater epoch, so a reader can hold one through a
 * request.
 */
export interface View {
  readonly pool: string;
  readonly mode: PoolMode;
  readonly epoch: number;
  /** Missing in what an earlier release tells its workers. */
  readonly fit?: Fit;
  /** False until every instance has a verdict, or the time for that ran out. */
  readonly settled: boolean;
  readonly instances: ReadonlyMap<InstanceId, InstanceState>;
  /** Failover pools: who serves all; `''` where nobody does. */
  readonly active: InstanceId | '';
  /** Agents on their way to another instance, by the key of their root, and where to. Nearly always empty. */
  readonly moving: ReadonlyMap<string, InstanceId>;
  /** Those that may take new agents, kept ready because every claim needs them. */
  readonly assignable: readonly InstanceState[];
}

export function makeView(view: {
  readonly pool: string;
  readonly mode: PoolMode;
  readonly epoch: number;
  readonly fit?: Fit;
  readonly settled: boolean;
  readonly instances: Iterable<InstanceState>;
  readonly active: InstanceId | '';
  readonly moving: ReadonlyMap<string, InstanceId>;
}): View {
  const instances = new Map<InstanceId, InstanceState>();
  for (const instance of view.instances) instances.set(instance.id, instance);
  return { ...view, instances, assignable: assignableOf(view.mode, view.active, [...instances.values()]) };
}

function assignableOf(
  mode: PoolMode,
  active: InstanceId | '',
  instances: readonly InstanceState[],
): readonly InstanceState[] {
  if (mode === 'failover')
    return instances.filter((instance) => instance.id === active && isUsable(instance));
  const able = instances.filter(isAssignable);
  const clear = able.filter(({ quarantined }) => !quarantined);
  // One in quarantine is better than none.
  return clear.length > 0 ? clear : able;
}

export function placementAt(instance: InstanceState): Placement {
  return { instance: instance.id, incarnation: instance.incarnation };
}
