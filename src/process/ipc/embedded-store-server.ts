import { storedForm } from '../../affinity/stored-name.ts';
import type { Binding, Placement } from '../../core/binding.ts';
import { leadsTo } from '../../core/evidence.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import type { AffinityStore, BindingQuery, KnownBinding } from '../../core/ports.ts';
import { StaleView } from '../../core/ports.ts';
import type { StoreNews } from './messages.ts';

export interface ServedPool {
  readonly store: AffinityStore;
  /** What stands for the view in effect, now. */
  readonly fencingToken: () => string;
  readonly epoch: () => number;
}

const NOTHING_MOVED: readonly Name[] = [];

/**
 * The controller's side of {@link RemoteStore}: does what one worker asks for,
 * and tells the others. Fences are compared here: the store and the ledger are
 * both this process's, so nothing comes between the look and the step.
 */
export class EmbeddedStoreServer {
  readonly #pools: ReadonlyMap<string, ServedPool>;
  readonly #tell: (pool: string, news: StoreNews) => void;

  /** @param tell all workers but the one that asks */
  constructor(pools: ReadonlyMap<string, ServedPool>, tell: (pool: string, news: StoreNews) => void) {
    this.#pools = pools;
    this.#tell = tell;
  }

  async storeClaim(pool: string, names: readonly RequestName[], proposal: Placement, fencingToken: string) {
    const { store } = this.#fenced(pool, fencingToken);
    const claim = await store.claim(names, proposal, fencingToken);
    const { root } = claim.binding;
    const leads = leadsTo(claim.by ?? 'link');
    const leading = names.filter(({ kind }) => (kind === 'session' ? leads.session : leads.user));
    const aliases = leading
      .map(storedForm)
      .filter(({ kind, value }) => kind !== root.kind || value !== root.value);
    // A session may have meant something else before it followed the user, or before it was shared.
    const moved =
      names.length === 1 || claim.by === 'session' ? NOTHING_MOVED : names.slice(1).map(storedForm);
    this.#news(pool, claim.binding, aliases, moved);
    return claim;
  }

  async storeRebind(pool: string, expected: Binding, proposal: Placement, fencingToken: string) {
    const { store } = this.#fenced(pool, fencingToken);
    const claim = await store.rebind(expected, proposal, fencingToken);
    if (claim.made) this.#news(pool, claim.binding, [], NOTHING_MOVED);
    return claim;
  }

  storeRenew(pool: string, names: readonly Name[]) {
    return this.#of(pool).store.renew(names);
  }

  async storeRelease(pool: string, name: Name) {
    await this.#of(pool).store.release(name);
    this.#tell(pool, { bound: undefined, moved: [storedForm(name)] });
  }

  storeRestore(pool: string, entries: readonly KnownBinding[]) {
    return this.#of(pool).store.restore(entries);
  }

  storeCounts(pool: string) {
    return this.#of(pool).store.counts();
  }

  storeList(pool: string, query: BindingQuery) {
    return this.#of(pool).store.list(query);
  }

  #news(pool: string, binding: Binding, aliases: readonly Name[], moved: readonly Name[]): void {
    this.#tell(pool, { bound: { binding, aliases, epoch: this.#of(pool).epoch() }, moved });
  }

  #fenced(pool: string, fencingToken: string): ServedPool {
    const one = this.#of(pool);
    if (fencingToken === '' || fencingToken !== one.fencingToken())
      throw new StaleView('the view has changed');
    return one;
  }

  #of(pool: string): ServedPool {
    const one = this.#pools.get(pool);
    if (one === undefined) throw new Error(`no pool is named ${pool}`);
    return one;
  }
}
