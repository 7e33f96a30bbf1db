import type { Binding, Proposal } from '../core/binding.ts';
import { FewAtOnce } from '../core/few-at-once.ts';
import type { GroupsThere } from '../core/groups.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore, BindingPage, BindingQuery, ListedBinding } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';
import { AliasFinder } from './alias-finder.ts';

/** What the workers have cached. */
export interface WorkerCaches {
  /** The number of bindings. */
  cached(): number;
  /** The newest aliases of a root, by its key; `undefined` if some may be missing. */
  aliases(key: string): Promise<readonly Name[] | undefined>;
}

/** The bindings as the store has them, for the controller, which serves no agents and so caches none. */
export class StoreBindings {
  readonly #store: AffinityStore;
  readonly #gateway: string;
  readonly #workers: WorkerCaches;
  readonly #aliases: AliasFinder;
  readonly #lists = new FewAtOnce('lists are read');
  readonly #hasGroups: boolean;
  #counts: ReadonlyMap<InstanceId, number> | undefined;
  #groups: ReadonlyMap<InstanceId, GroupsThere> | undefined;

  /**
   * @param gateway the name of this gateway
   * @param hasGroups the store is asked where groups are
   */
  constructor(store: AffinityStore, gateway: string, workers: WorkerCaches, { hasGroups = false } = {}) {
    this.#store = store;
    this.#hasGroups = hasGroups;
    this.#gateway = gateway;
    this.#workers = workers;
    this.#aliases = new AliasFinder(store);
  }

  get cached(): number {
    return this.#workers.cached();
  }

  /** Live bindings per instance, as of the store's last answer; `undefined` before the first. */
  get counts(): ReadonlyMap<InstanceId, number> | undefined {
    return this.#counts;
  }

  /** Where the groups are, as of the store's last answer; `undefined` before the first, and without groups. */
  get groups(): ReadonlyMap<InstanceId, GroupsThere> | undefined {
    return this.#groups;
  }

  /** Refreshes the numbers of agents and groups. Never rejects. */
  async refreshCounts(): Promise<void> {
    try {
      this.#counts = await this.#store.counts();
      if (this.#hasGroups) this.#groups = await this.#store.groups();
    } catch (error) {
      // Keep the last known counts.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  list(query: BindingQuery): Promise<BindingPage> {
    return this.#lists.run(() => this.#store.list(query));
  }

  /** The store says which of the names that a worker has cached still lead to the root. */
  async aliasesOf(root: Name): Promise<readonly Name[]> {
    const key = storedKey(root);
    const cached = await this.#workers.aliases(key);
    if (cached === undefined) return this.#aliases.find(root);
    const roots = await Promise.all(
      cached.map(async (name) => (await this.#store.find([name]))?.binding.root),
    );
    return cached.filter((_, i) => {
      const held = roots[i];
      return held !== undefined && storedKey(held) === key;
    });
  }

  find(names: readonly Name[]): Promise<ListedBinding | undefined> {
    return this.#store.find(names);
  }

  rebind(_names: readonly Name[], expected: Binding, proposal: Proposal, fencingToken: string) {
    return this.#store.rebind(expected, { ...proposal, gateway: this.#gateway }, fencingToken);
  }

  release(expected: Binding, fencingToken: string): Promise<Binding | undefined> {
    return this.#store.release(expected, fencingToken);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
