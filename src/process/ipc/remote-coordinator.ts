import type { InstanceId } from '../../core/instance.ts';
import type { Coordinator } from '../../core/ports.ts';
import type { Knowledge } from '../../core/view/replica-options.ts';
import type { RoutingState } from '../../core/view/routing-state.ts';
import { RoutingStateCopy } from '../../core/view/routing-state-copy.ts';
import type { Unanswered } from '../../core/view/store-outage.ts';
import type { PoolMode } from '../../core/view/view.ts';
import { HOST_CLOCK_OFFSET_MS } from './host-clock.ts';
import type { ControllerCalls, RoutingStateUpdate } from './messages.ts';

export interface RemotePool {
  readonly name: string;
  readonly mode: PoolMode;
  /** The instances to which this worker can forward. */
  readonly instances: ReadonlySet<InstanceId>;
}

export interface RemoteCoordinatorOptions {
  readonly pools: readonly RemotePool[];
  /** Tells the controller which view this worker acts on from now on. */
  readonly onAdopted: (pool: string, viewId: string) => void;
  readonly onSuspect: (pool: string, instance: InstanceId) => void;
  readonly controller: ControllerCalls;
}

interface PoolCopy {
  readonly routingState: RoutingStateCopy;
  readonly listeners: Set<() => void>;
  /** Gives up requests whose responses must not be awaited any longer. */
  giveUp: () => void;
  counts: ReadonlyMap<InstanceId, number>;
  addresses: ReadonlyMap<InstanceId, readonly string[]>;
  knowledge: Knowledge | undefined;
}

/** A worker's coordinator: it holds the controller's latest updates and decides nothing itself. */
export class RemoteCoordinator implements Coordinator {
  readonly #options: RemoteCoordinatorOptions;
  readonly #pools: ReadonlyMap<string, PoolCopy>;
  /** The pools for which the controller publishes updates; undefined until it has listed them. */
  #controllerPools: ReadonlySet<string> | undefined;
  #onPools = (): void => {};

  constructor(options: RemoteCoordinatorOptions) {
    this.#options = options;
    this.#pools = new Map(
      options.pools.map(({ name, mode, instances }) => [
        name,
        {
          routingState: new RoutingStateCopy({ pool: name, mode }, HOST_CLOCK_OFFSET_MS, (id) =>
            instances.has(id),
          ),
          listeners: new Set(),
          giveUp: () => undefined,
          counts: new Map(),
          addresses: new Map(),
          knowledge: undefined,
        },
      ]),
    );
  }

  /** The knowledge that a new controller receives from this worker. */
  get knowledge(): ReadonlyMap<string, Knowledge> {
    const known = new Map<string, Knowledge>();
    for (const [name, { knowledge }] of this.#pools) if (knowledge !== undefined) known.set(name, knowledge);
    return known;
  }

  routingState(pool: string): RoutingState {
    return this.#pool(pool).routingState;
  }

  agreedEpoch(pool: string): number {
    return this.#pool(pool).routingState.agreedEpoch;
  }

  boundAgents(pool: string, instance: InstanceId): number {
    return this.#pool(pool).counts.get(instance) ?? 0;
  }

  addresses(pool: string, instance: InstanceId): readonly string[] | undefined {
    return this.#pool(pool).addresses.get(instance);
  }

  onChange(pool: string, listener: () => void): () => void {
    const { listeners } = this.#pool(pool);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Sets the step to take before the worker acknowledges a view. Called at most once per pool. */
  beforeAdopting(pool: string, giveUp: () => void): void {
    this.#pool(pool).giveUp = giveUp;
  }

  /** Applies a routing state update and acknowledges it. Ignores pools that only other workers have configured. */
  apply({ pool, standing: routingState, counts, addresses, knowledge }: RoutingStateUpdate): void {
    const copy = this.#pools.get(pool);
    if (copy === undefined) return;
    copy.counts = counts;
    // A controller that has just started may not have resolved all addresses yet: keep the last known ones.
    copy.addresses = new Map([...copy.addresses, ...(addresses ?? [])]);
    copy.knowledge = knowledge;
    const hasChanged = copy.routingState.apply(routingState, performance.now(), Date.now());
    if (hasChanged) for (const listener of [...copy.listeners]) listener();
    // Read responses that have already arrived before giving up requests.
    setImmediate(() => {
      copy.giveUp();
      this.#options.onAdopted(pool, routingState.viewId);
    });
  }

  /** Sets the pools for which the current controller publishes updates. */
  setPools(pools: readonly string[]): void {
    this.#controllerPools = new Set(pools);
    this.#onPools();
  }

  suspect(pool: string, instance: InstanceId): void {
    this.#options.onSuspect(pool, instance);
  }

  renew(pool: string): Promise<void> {
    return this.#options.controller.renew(pool).catch(ignored);
  }

  storeFailed(pool: string, { since, wasLate = false }: Unanswered): Promise<void> {
    return this.#options.controller.storeFailed(pool, since + HOST_CLOCK_OFFSET_MS, wasLate).catch(ignored);
  }

  /** Drops all leases after a pause of this process, because they may have expired meanwhile. */
  dropLeases(): void {
    for (const [pool, { routingState, giveUp }] of this.#pools) {
      routingState.dropLease();
      setImmediate(giveUp);
      void this.renew(pool);
    }
  }

  /**
   * Resolves once the worker may act on every pool, or when the time is over. It does not wait for pools that a reload
   * adds, because only the next controller knows them.
   */
  settled(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        for (const stop of stops) stop();
        this.#onPools = () => {};
        resolve();
      };
      const look = (): void => {
        const now = performance.now();
        const wall = Date.now();
        const isReady = [...this.#pools].every(
          ([pool, { routingState }]) =>
            this.#controllerPools?.has(pool) === false ||
            (routingState.view.settled && routingState.modeAt(now, wall) !== 'waiting'),
        );
        if (isReady) end();
      };
      const timer = setTimeout(end, limitMs);
      const stops = [...this.#pools.keys()].map((pool) => this.onChange(pool, look));
      this.#onPools = look;
      look();
    });
  }

  #pool(name: string): PoolCopy {
    const copy = this.#pools.get(name);
    if (copy === undefined) throw new Error(`no pool is named ${name}`);
    return copy;
  }
}

/** Ignores a controller that is gone or did not answer: waiting requests continue with its next update. */
function ignored(): void {}
