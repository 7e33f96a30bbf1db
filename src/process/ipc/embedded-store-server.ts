import type { Binding, Proposal } from '../../core/binding.ts';
import { leadsTo } from '../../core/evidence.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type { AffinityStore, BindingQuery, KnownBinding, LogOff, PeekOptions } from '../../core/ports.ts';
import { StaleView } from '../../core/ports.ts';
import type { Rebalance } from '../../core/rebalance.ts';
import { storedForm } from '../../core/stored-name.ts';
import type { StoreNews } from './messages.ts';

export interface ServedPool {
  readonly store: AffinityStore;
  /** The fencing token of the view in effect now. */
  readonly fencingToken: () => string;
  readonly epoch: () => number;
  /** Begins a claim at the end of this turn of the event loop, so that all claims of the turn are written together. */
  readonly together?: Together | undefined;
}

export type Together = <T>(begin: () => Promise<T>) => Promise<T>;

const atOnce: Together = (begin) => begin();

const NOTHING_MOVED: readonly Name[] = [];

/**
 * The controller's side of the embedded store: it carries out the calls of one worker
 * and notifies the others. It compares fencing tokens here: this process owns both the
 * bindings and the views, so no change can come between the check and the write.
 */
export class EmbeddedStoreServer {
  readonly #pools: ReadonlyMap<string, ServedPool>;
  readonly #notifyOthers: (pool: string, notify: StoreNews) => void;

  /** @param notifyOthers sends news to all workers except the caller */
  constructor(
    pools: ReadonlyMap<string, ServedPool>,
    notifyOthers: (pool: string, notify: StoreNews) => void,
  ) {
    this.#pools = pools;
    this.#notifyOthers = notifyOthers;
  }

  async storeClaim(
    pool: string,
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    oldest?: Name,
    leaves?: readonly InstanceId[],
    rebalance?: Rebalance,
  ) {
    const { together = atOnce } = this.#pool(pool);
    // The token is compared when the claim begins.
    const claim = await together(async () => {
      const { store } = this.#checkedPool(pool, fencingToken);
      return store.claim(names, proposal, fencingToken, oldest, leaves, rebalance);
    });
    const { root } = claim.binding;
    const leads = leadsTo(claim.by ?? 'link');
    const leading = names.filter(({ kind }) => (kind === 'session' ? leads.session : leads.user));
    const aliases = leading
      .map(storedForm)
      .filter(({ kind, value }) => kind !== root.kind || value !== root.value);
    // The session may have been bound elsewhere before it followed the user, or before it was shared.
    const moved =
      names.length === 1 || claim.by === 'session' ? NOTHING_MOVED : names.slice(1).map(storedForm);
    const { isNew, replaced = NOTHING_MOVED } = claim;
    this.#notify(pool, claim.binding, aliases, [...moved, ...replaced], isNew);
    return claim;
  }

  async storeRebind(pool: string, expected: Binding, proposal: Proposal, fencingToken: string) {
    const { store } = this.#checkedPool(pool, fencingToken);
    const claim = await store.rebind(expected, proposal, fencingToken);
    if (claim.made) this.#notify(pool, claim.binding, [], NOTHING_MOVED);
    return claim;
  }

  storeRenew(pool: string, names: readonly Name[], seenAgoMs?: number) {
    return this.#pool(pool).store.renew(names, seenAgoMs);
  }

  async storeRelease(pool: string, expected: Binding, fencingToken: string) {
    const { store } = this.#checkedPool(pool, fencingToken);
    const holds = await store.release(expected, fencingToken);
    if (holds === undefined)
      this.#notifyOthers(pool, { bound: undefined, moved: [storedForm(expected.root)] });
    return holds;
  }

  async storeLogOff(pool: string, expected: Binding, logOff: LogOff) {
    const left = await this.#pool(pool).store.logOff(expected, logOff);
    if (left !== undefined) {
      const { graceMs: endsInMs, ageMs } = logOff;
      const loggedOff = { generation: left.generation, endsInMs, ageMs };
      this.#notifyOthers(pool, { bound: undefined, moved: [storedForm(expected.root)], loggedOff });
    }
    return left;
  }

  storeRestore(pool: string, entries: readonly KnownBinding[]) {
    return this.#pool(pool).store.restore(entries);
  }

  storeCounts(pool: string) {
    return this.#pool(pool).store.counts();
  }

  storeGroups(pool: string) {
    return this.#pool(pool).store.groups();
  }

  storeFind(pool: string, names: readonly Name[]) {
    return this.#pool(pool).store.find(names);
  }

  async storePeek(pool: string, names: readonly RequestName[], options: PeekOptions = {}) {
    const { fencingToken } = options;
    const { store } = fencingToken === undefined ? this.#pool(pool) : this.#checkedPool(pool, fencingToken);
    return store.peek(names, options);
  }

  storeList(pool: string, query: BindingQuery) {
    return this.#pool(pool).store.list(query);
  }

  #notify(
    pool: string,
    binding: Binding,
    aliases: readonly Name[],
    moved: readonly Name[],
    isNew = false,
  ): void {
    this.#notifyOthers(pool, { bound: { binding, aliases, epoch: this.#pool(pool).epoch(), isNew }, moved });
  }

  #checkedPool(pool: string, fencingToken: string): ServedPool {
    const one = this.#pool(pool);
    if (fencingToken === '' || fencingToken !== one.fencingToken())
      throw new StaleView('the view has changed');
    return one;
  }

  #pool(pool: string): ServedPool {
    const one = this.#pools.get(pool);
    if (one === undefined) throw new Error(`no pool is named ${pool}`);
    return one;
  }
}
