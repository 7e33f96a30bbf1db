import type { Placement } from '../binding.ts';
import type { InstanceId, InstanceState } from '../instance.ts';
import { isAssignable, isUsable } from '../instance.ts';
import type { AgentMove } from './agreed-view.ts';

/** `failover`: one active instance serves all agents. `sticky`: agents are spread, and each stays on its instance. */
export type PoolMode = 'failover' | 'sticky';

/**
 * How this gateway's configuration relates to the agreed one. `differs`: it would send agents to other instances than
 * its peers do, so it does not serve the pool. `unknown`: not decided yet.
 */
export type Fit = 'agreed' | 'differs' | 'unknown';

/** The operator who moves an agent, and why. */
export type MoveReason = Pick<AgentMove, 'by' | 'why'>;

/**
 * What the replicas agree on about a pool's instances at one moment. It is immutable: every change makes a new view
 * with a greater epoch, so a request can use one view throughout.
 */
export interface View {
  readonly pool: string;
  readonly mode: PoolMode;
  readonly epoch: number;
  /** Missing in messages from an earlier release. */
  readonly fit?: Fit;
  /** False until every instance is known to be up or down, or the time for that is over. */
  readonly settled: boolean;
  readonly instances: ReadonlyMap<InstanceId, InstanceState>;
  /** Failover pools: the instance that serves all agents; `''` if there is none. */
  readonly active: InstanceId | '';
  /**
   * Agents being moved, by the key of their root, with the instance they are moved to, or `NOWHERE` while an operator
   * ends their binding. Almost always empty.
   */
  readonly moving: ReadonlyMap<string, InstanceId>;
  /** Who moves them and why, by the same keys. Missing in messages from an earlier release. */
  readonly moves?: ReadonlyMap<string, MoveReason>;
  /** Agents may move as they log on again. Missing in messages from an earlier release. */
  readonly rebalances?: boolean;
  /** Instances that may take new agents. Precomputed, because every claim needs them. */
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
  readonly moves?: ReadonlyMap<string, MoveReason>;
  /** Agents may move as they log on again. Missing in messages from an earlier release. */
  readonly rebalances?: boolean;
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
  // A quarantined instance is better than none.
  return clear.length > 0 ? clear : able;
}

export function placementAt(instance: InstanceState): Placement {
  return { instance: instance.id, incarnation: instance.incarnation };
}
