import type { Binding, Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore, BindingPage, BindingQuery } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';

/**
 * The bindings as the store has them, for a process that serves no agents and
 * so remembers none.
 */
export class StoreBindings {
  readonly #store: AffinityStore;
  readonly #cached: () => number;
  #counts: ReadonlyMap<InstanceId, number> | undefined;

  /** @param cached bindings that the processes know which do serve agents */
  constructor(store: AffinityStore, cached: () => number) {
    this.#store = store;
    this.#cached = cached;
  }

  get cached(): number {
    return this.#cached();
  }

  /** Live bindings per instance, as they were when the store last answered; `undefined` before. */
  get counts(): ReadonlyMap<InstanceId, number> | undefined {
    return this.#counts;
  }

  /** Never rejects. */
  async refreshCounts(): Promise<void> {
    try {
      this.#counts = await this.#store.counts();
    } catch (error) {
      // What was known last stands.
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
