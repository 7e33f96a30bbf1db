import type { Binding, Claim, Proposal } from '../../core/binding.ts';
import type { GroupsThere } from '../../core/groups.ts';
import type { Holdings } from '../../core/holdings.ts';
import type { Name, RequestName } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type {
  AffinityListener,
  AffinityStore,
  BindingPage,
  BindingQuery,
  KnownBinding,
  ListedBinding,
  LogOff,
  PeekOptions,
} from '../../core/ports.ts';
import { NamesNoAgent, StaleView, StoreFull, StoreUnavailable, UnknownCursor } from '../../core/ports.ts';
import type { Rebalance } from '../../core/rebalance.ts';
import type { Calls } from './calls.ts';
import type { StoreNews } from './messages.ts';

// The store answers in a fraction of a millisecond; the controller in front of it may be busy.
const STORE_MS = 500;
// A page of a listing or a batch to write back may be long.
const BULK_MS = 5_000;

/** The worker's side of the embedded store. Only one process can open that store, so workers call the controller. */
export class EmbeddedStoreClient implements AffinityStore {
  readonly #pool: string;
  readonly #calls: Calls;
  readonly #isLocal: boolean;
  #listener: AffinityListener | undefined;

  /** @param isLocal the controller is in this process, so an answer that takes long is still on its way */
  constructor(pool: string, calls: Calls, isLocal = false) {
    this.#pool = pool;
    this.#calls = calls;
    this.#isLocal = isLocal;
  }

  claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    oldest?: Name,
    leaves?: readonly InstanceId[],
    rebalance?: Rebalance,
  ): Promise<Claim> {
    return this.#ask('storeClaim', [names, proposal, fencingToken, oldest, leaves, rebalance]);
  }

  rebind(expected: Binding, proposal: Proposal, fencingToken: string): Promise<Claim> {
    return this.#ask('storeRebind', [expected, proposal, fencingToken]);
  }

  renew(names: readonly Name[], seenAgoMs?: number): Promise<Binding | undefined> {
    return this.#ask('storeRenew', [names, seenAgoMs]);
  }

  release(expected: Binding, fencingToken: string): Promise<Binding | undefined> {
    return this.#ask('storeRelease', [expected, fencingToken]);
  }

  logOff(expected: Binding, logOff: LogOff): Promise<Binding | undefined> {
    return this.#ask('storeLogOff', [expected, logOff]);
  }

  restore(entries: readonly KnownBinding[]): Promise<(Binding | undefined)[]> {
    return this.#ask('storeRestore', [entries], BULK_MS);
  }

  counts(): Promise<ReadonlyMap<InstanceId, number>> {
    return this.#ask('storeCounts', []);
  }

  groups(): Promise<ReadonlyMap<InstanceId, GroupsThere>> {
    return this.#ask('storeGroups', []);
  }

  find(names: readonly Name[]): Promise<ListedBinding | undefined> {
    return this.#ask('storeFind', [names]);
  }

  peek(names: readonly RequestName[], options?: PeekOptions): Promise<Holdings> {
    return this.#ask('storePeek', [names, options]);
  }

  list(query: BindingQuery): Promise<BindingPage> {
    return this.#ask('storeList', [query], BULK_MS);
  }

  listen(listener: AffinityListener): void {
    this.#listener = listener;
    listener.onGap();
  }

  /** Applies a change that another process made through the controller. */
  applyNews({ bound, moved, loggedOff }: StoreNews): void {
    if (loggedOff !== undefined) this.#listener?.onLoggedOff(moved[0] as Name, loggedOff);
    else if (moved.length > 0) this.#listener?.onMoved(moved);
    if (bound !== undefined) {
      const { binding, aliases, epoch, isNew = false } = bound;
      this.#listener?.onBound(binding, aliases, epoch, isNew);
    }
  }

  /** Reports a gap in the news: the controller has ended, perhaps before it sent its last changes. */
  signalGap(): void {
    this.#listener?.onGap();
  }

  async close(): Promise<void> {
    this.#listener = undefined;
  }

  async #ask<T>(method: string, args: readonly unknown[], limitMs = STORE_MS): Promise<T> {
    try {
      return (await this.#calls.call(
        method,
        [this.#pool, ...args],
        this.#isLocal ? undefined : limitMs,
      )) as T;
    } catch (error) {
      const { name, message } = error as Error;
      if (name === 'NamesNoAgent') throw new NamesNoAgent();
      if (name === 'StoreFull') throw new StoreFull();
      if (name === 'StaleView') throw new StaleView(message);
      if (name === 'StoreUnavailable') throw new StoreUnavailable(message);
      if (name === 'UnknownCursor') throw new UnknownCursor(message);
      throw new StoreUnavailable(`the controller, which holds the store, did not answer: ${message}`, error);
    }
  }
}
