import type { Binding, Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore, BindingPage, BindingQuery } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';

/** The bindings as the store has them, for the controller, which serves no agents and so caches none. */
export class StoreBindings {
  readonly #store: AffinityStore;
  readonly #cached: () => number;
  #counts: ReadonlyMap<InstanceId, number> | undefined;

  /** @param cached the number of bindings that the workers have cached */
  constructor(store: AffinityStore, cached: () => number) {
    this.#store = store;
    this.#cached = cached;
  }

  get cached(): number {
    return this.#cached();
  }

  /** Live bindings per instance, as of the store's last answer; `undefined` before the first. */
  get counts(): ReadonlyMap<InstanceId, number> | undefined {
    return this.#counts;
  }

  /** Never rejects. */
  async refreshCounts(): Promise<void> {
    try {
      this.#counts = await this.#store.counts();
    } catch (error) {
      // Keep the last known counts.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  list(query: BindingQuery): Promise<BindingPage> {
    return this.#store.list(query);
  }

  lookup(names: readonly Name[]): Promise<Binding | undefined> {
    return this.#store.renew(names);
  }

  rebind(_names: readonly Name[], expected: Binding, proposal: Placement, fencingToken: string) {
    return this.#store.rebind(expected, proposal, fencingToken);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
