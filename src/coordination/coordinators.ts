import type { InstanceId } from '../core/instance.ts';
import type { Coordinator } from '../core/ports.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { Unanswered } from '../core/view/store-outage.ts';
import type { PoolCoordinator } from './pool-coordinator.ts';

/** The coordinators of all pools, behind the interface that the data plane uses. */
export class Coordinators implements Coordinator {
  readonly #pools: ReadonlyMap<string, PoolCoordinator>;

  constructor(pools: Iterable<readonly [string, PoolCoordinator]>) {
    this.#pools = new Map(pools);
  }

  routingState(pool: string): RoutingState {
    return this.#pool(pool).routingState;
  }

  onChange(pool: string, listener: () => void): () => void {
    return this.#pool(pool).onChange(listener);
  }

  suspect(pool: string, instance: InstanceId): void {
    this.#pool(pool).suspect(instance);
  }

  renew(pool: string): Promise<void> {
    return this.#pool(pool).renew();
  }

  storeFailed(pool: string, claim: Unanswered): Promise<void> {
    return this.#pool(pool).storeFailed(claim);
  }

  #pool(name: string): PoolCoordinator {
    const coordinator = this.#pools.get(name);
    if (coordinator === undefined) throw new Error(`no pool is named ${name}`);
    return coordinator;
  }
}
