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
  /** Instances that this worker can send something to. */
  readonly instances: ReadonlySet<InstanceId>;
}

export interface RemoteCoordinatorOptions {
  readonly pools: readonly RemotePool[];
  /** Tells the controller what this worker acts on from now on. */
  readonly onAdopted: (pool: string, viewId: string) => void;
  readonly onSuspect: (pool: string, instance: InstanceId) => void;
  readonly controller: ControllerCalls;
}

interface Copied {
  readonly routingState: RoutingStateCopy;
  readonly listeners: Set<() => void>;
  /** Gives up what must not be waited for any longer. */
  giveUp: () => void;
  counts: ReadonlyMap<InstanceId, number>;
  addresses: ReadonlyMap<InstanceId, readonly string[]>;
  knowledge: Knowledge | undefined;
}

/** A worker's coordinator: what the controller has published last. It decides nothing. */
export class RemoteCoordinator implements Coordinator {
  readonly #options: RemoteCoordinatorOptions;
  readonly #pools: ReadonlyMap<string, Copied>;
  /** Those of which the controller tells; undefined until it has said so. */
  #controllerPools: ReadonlySet<string> | undefined;
  #onGuided = (): void => {};

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

  /** What a controller that starts anew is told. */
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

  /** What has to be done before the controller hears that a standing is adopted. Given at most once for each pool. */
  beforeAdopting(pool: string, giveUp: () => void): void {
    this.#pool(pool).giveUp = giveUp;
  }

  /** Acts on a bulletin, and says so. One of a pool that is not configured here is for other workers. */
  apply({ pool, standing: routingState, counts, addresses, knowledge }: RoutingStateUpdate): void {
    const copied = this.#pools.get(pool);
    if (copied === undefined) return;
    copied.counts = counts;
    // A controller that has just started may not know one yet: the address that was right stays.
    copied.addresses = new Map([...copied.addresses, ...(addresses ?? [])]);
    copied.knowledge = knowledge;
    const hasChanged = copied.routingState.apply(routingState, performance.now(), Date.now());
    if (hasChanged) for (const listener of [...copied.listeners]) listener();
    // Answers that have arrived are read first.
    setImmediate(() => {
      copied.giveUp();
      this.#options.onAdopted(pool, routingState.viewId);
    });
  }

  /** The controller that is there now tells of these pools. */
  setPools(pools: readonly string[]): void {
    this.#controllerPools = new Set(pools);
    this.#onGuided();
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

  /** This process stood still: what it was told before may be long over. */
  dropLeases(): void {
    for (const [pool, { routingState, giveUp }] of this.#pools) {
      routingState.dropLease();
      setImmediate(giveUp);
      void this.renew(pool);
    }
  }

  /**
   * Resolves once every pool may be acted on, or when the time is over. Those that a reload adds are not waited for: only
   * the controller that follows the present one knows them.
   */
  settled(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        for (const stop of stops) stop();
        this.#onGuided = () => {};
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
      this.#onGuided = look;
      look();
    });
  }

  #pool(name: string): Copied {
    const copied = this.#pools.get(name);
    if (copied === undefined) throw new Error(`no pool is named ${name}`);
    return copied;
  }
}

/** The controller is not there, or did not answer: whoever waits waits for its next bulletin. */
function ignored(): void {}
