import type { InstanceId, InstanceState } from '../core/instance.ts';
import type { BindingPage, BindingQuery } from '../core/ports.ts';
import type { View } from '../core/view.ts';

/** What the status needs to know of a pool; read at the moment it is asked for. */
export interface PoolSource {
  readonly name: string;
  readonly mode: 'failover' | 'sticky';
  view(): View;
  /** The instance that a failover pool sends everything to; `undefined` before the first request and in sticky pools. */
  activeInstance(): InstanceId | undefined;
  url(instance: InstanceId): string;
  inFlight(instance: InstanceId): number;
  queued(instance: InstanceId): number;
  boundAgents(instance: InstanceId): number;
  parked(): number;
  storeAvailable(): boolean;
  cachedBindings(): number;
  listBindings(query: BindingQuery): Promise<BindingPage>;
}

/** One line of the listing of bindings. */
export interface BindingStatus {
  /** A user name as it stands in the store; sessions and addresses with their kind before them. */
  readonly name: string;
  readonly instance: InstanceId;
  readonly incarnation: string | null;
  readonly generation: number;
  readonly expiresInSeconds: number;
}

export interface BindingListing {
  readonly bindings: readonly BindingStatus[];
  /** Given as `cursor` it leads to the next page; `null` on the last. */
  readonly next: string | null;
}

export interface InstanceStatus {
  readonly id: InstanceId;
  readonly url: string;
  readonly admin: InstanceState['admin'];
  readonly health: InstanceState['health'];
  readonly incarnation: string | null;
  readonly weight: number;
  readonly priority: number;
  readonly active: boolean;
  readonly boundAgents: number;
  readonly inFlight: number;
  readonly queued: number;
}

export interface PoolStatus {
  readonly name: string;
  readonly mode: 'failover' | 'sticky';
  readonly epoch: number;
  readonly settled: boolean;
  readonly parked: number;
  readonly affinity: { readonly available: boolean; readonly cachedBindings: number };
  readonly instances: readonly InstanceStatus[];
}

/** The gateway's own condition. Instances do not count: a balancer in front must not act on them. */
export type GatewayState = 'Starting' | 'Running' | 'Stopping';

export interface GatewayStatus {
  readonly state: GatewayState;
  readonly version: string;
  readonly startedAt: string;
  readonly inFlight: number;
  readonly pools: readonly PoolStatus[];
}

export function poolStatus(pool: PoolSource): PoolStatus {
  const view = pool.view();
  const active = pool.activeInstance();
  return {
    name: pool.name,
    mode: pool.mode,
    epoch: view.epoch,
    settled: view.settled,
    parked: pool.parked(),
    affinity: { available: pool.storeAvailable(), cachedBindings: pool.cachedBindings() },
    instances: [...view.instances.values()].map((instance) => ({
      id: instance.id,
      url: pool.url(instance.id),
      admin: instance.admin,
      health: instance.health,
      incarnation: instance.incarnation === '' ? null : instance.incarnation,
      weight: instance.weight,
      priority: instance.priority,
      active: pool.mode === 'sticky' || instance.id === active,
      boundAgents: pool.boundAgents(instance.id),
      inFlight: pool.inFlight(instance.id),
      queued: pool.queued(instance.id),
    })),
  };
}

export function bindingListing({ bindings, cursor }: BindingPage): BindingListing {
  return {
    bindings: bindings.map(({ binding, expiresInMs }) => ({
      name: binding.root.kind === 'user' ? binding.root.value : `${binding.root.kind}:${binding.root.value}`,
      instance: binding.instance,
      incarnation: binding.incarnation === '' ? null : binding.incarnation,
      generation: binding.generation,
      expiresInSeconds: Math.round(expiresInMs / 1_000),
    })),
    next: cursor ?? null,
  };
}
