import type { AgentBindings, Bound, CachedBinding } from '../core/agent-bindings.ts';
import type { Binding, Placement, Proposal } from '../core/binding.ts';
import type { Name, Names, RequestName } from '../core/identity.ts';
import { nameKey } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore, BindingPage, BindingQuery } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { Rebalance } from '../core/rebalance.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { BindingCache } from './binding-cache.ts';
import type { BindingsOptions } from './bindings-options.ts';
import { CacheWarmer } from './cache-warmer.ts';
import { Claims } from './claims.ts';
import { DegradedDecisions } from './degraded-decisions.ts';
import { ExplainedBindings } from './explained-bindings.ts';
import { KnownMembers } from './known-members.ts';
import { LogOffs } from './log-offs.ts';
import { StoreMonitor } from './store-monitor.ts';
import { StoreNews } from './store-news.ts';
import { Trust } from './trust.ts';
import { Upkeep } from './upkeep.ts';
import { WriteBack } from './write-back.ts';
import { WriteBackQueue } from './write-back-queue.ts';

/**
 * The bindings of one pool: a cache in front of the store, and a degraded mode for when the store is away.
 *
 * The caller decides by the agreed view which of them to use. In degraded mode, known agents stay where the cache
 * says, unknown ones go where the caller places them, and every decision enters the write-back queue. The queue is
 * written back before the store is used for anything else; if the store has something different, the store wins.
 */
export class Bindings implements AgentBindings {
  readonly logOffs: LogOffs;
  readonly #options: BindingsOptions;
  readonly #store: AffinityStore;
  readonly #cache: BindingCache;
  readonly #monitor: StoreMonitor;
  readonly #news: StoreNews;
  readonly #claims: Claims;
  readonly #degraded: DegradedDecisions;
  readonly #writer: WriteBack;
  readonly #warmer: CacheWarmer;
  readonly #upkeep: Upkeep;
  readonly #members: KnownMembers | undefined;
  readonly #trust: Trust;

  constructor(options: BindingsOptions) {
    const { store, cache, epoch, gateway, groups, events, hasLogOffs = true } = options;
    // Written back before the store is asked, so that the store knows what was decided here.
    const queue = new WriteBackQueue();
    const monitor = new StoreMonitor(events);
    const trust = new Trust(options.sessionsAreProvisional);
    const news = new StoreNews({ cache, trust, onGap: () => this.#warmer.mayHaveMissed() });
    const { invalidations } = news;
    const isOutdated = (names: readonly Name[], askedAt: number): boolean =>
      invalidations.isOutdated(names, askedAt);
    const { onConflict } = events;
    [this.#options, this.#store, this.#cache] = [options, store, cache];
    [this.#monitor, this.#news, this.#trust] = [monitor, news, trust];
    this.#members = groups && new KnownMembers(groups, cache);
    this.#degraded = new DegradedDecisions(cache, queue, events);
    this.#writer = new WriteBack({ store, cache, queue, gateway, isOutdated, onConflict });
    this.#warmer = new CacheWarmer({ store, cache, epoch, isOutdated });
    this.#claims = new Claims({
      store,
      cache,
      gateway,
      epoch,
      monitor,
      invalidations,
      events,
      onOvertaken: (...overtaken) => this.logOffs.afterClaim(...overtaken),
      onReplaced: (names) => news.onMoved(names),
    });
    this.logOffs = new LogOffs({
      store,
      cache,
      queue,
      monitor,
      seesRequests: hasLogOffs,
      newsWithinMs: options.newsWithinMs,
      invalidations,
      renew: (...asked) => this.#claims.renew(...asked),
    });
    this.#upkeep = new Upkeep({ store, monitor, writer: this.#writer, warmer: this.#warmer });
    news.listen({ store, onLoggedOff: (root, logOff) => this.logOffs.heard(root, logOff) });
  }

  async close(): Promise<void> {
    await Promise.all([this.#warmer.close(), this.logOffs.close()]);
    await this.#store.close();
  }

  /** Live bindings per instance, about a second old, or older if the store does not answer; `undefined` at first. */
  get counts(): ReadonlyMap<InstanceId, number> | undefined {
    return this.#upkeep.counts;
  }

  get cached(): number {
    return this.#cache.size;
  }

  /** The cache has all bindings that were in the store when this process started, as far as it has room. */
  get isMirrored(): boolean {
    return this.#warmer.hasScanned;
  }

  /** The same for all bindings, and none was missed or evicted since: a name that is not known here is new. */
  get isComplete(): boolean {
    return this.#warmer.isComplete && Number.isFinite(this.#trust.since);
  }

  /** The cached aliases of a root, its newest ones; `undefined` if some may not be cached. */
  aliasesOf(key: string): readonly Name[] | undefined {
    const entry = this.isComplete ? this.#cache.peek(key) : undefined;
    return entry?.key === key ? entry.names.slice(1) : undefined;
  }

  /** Since when, and why, the store does not answer operations on bindings. */
  get trouble(): ClaimTrouble | undefined {
    return this.#monitor.trouble;
  }

  placeOf(group: string, holds: (binding: Binding) => boolean): InstanceId | undefined {
    return this.#members?.placeOf(group, holds);
  }

  /** May the store still carry out a claim or move of one of these names that timed out? */
  awaitsAnswer(names: readonly Name[]): boolean {
    return this.#claims.awaitsAnswer(names);
  }

  /** At most one listener, called after late answers to claims. */
  onLateAnswers(listener: () => void): void {
    this.#claims.onLateAnswers(listener);
  }

  /** Called by the store's connection: does it bring messages about moves? */
  hearing(state: 'up' | 'down'): void {
    this.#news.hearing(state);
  }

  /**
   * Live bindings as the store has them, for operators.
   *
   * @throws StoreUnavailable
   */
  list(query: BindingQuery): Promise<BindingPage> {
    return this.#store.list(query);
  }

  /** The cached binding of these names; the store is not asked. */
  find(user: string | undefined, session: string | undefined): CachedBinding | undefined {
    return this.#cache.find(user, session);
  }

  /** The same for a request, whose names may have been found in its body. */
  findFor(names: Names): CachedBinding | undefined {
    return this.#cache.findFor(names);
  }

  get(name: Name): CachedBinding | undefined {
    return this.#cache.get(nameKey(name.kind, name.value));
  }

  /**
   * May the cached binding be acted on without asking the store? Renews it in the background when due.
   *
   * @param isDegraded the caller acts without the store, so the cache is the best source
   */
  isTrusted(entry: CachedBinding, { view }: Pick<RoutingState, 'view'>, isDegraded: boolean): boolean {
    const now = performance.now();
    if (isDegraded) {
      entry.usedAt = now;
      if (entry.isEnding) this.logOffs.keep(entry);
      return true;
    }
    if (!this.#cache.isConfirmed(entry, view, now, this.#trust)) return false;
    if (this.#cache.needsRenewal(entry, now) && !entry.renewing) void this.#renew(entry);
    return true;
  }

  /** Is it the best information while the store does not answer, although a message may have been missed? */
  isUsableUnconfirmed(entry: CachedBinding, { view }: Pick<RoutingState, 'view'>): boolean {
    if (!this.#cache.mayHold(entry, view, performance.now())) return false;
    if (entry.isEnding) this.logOffs.keep(entry);
    return true;
  }

  /** The same bindings for a request that is only explained. Nothing is changed by them. */
  explained(): ExplainedBindings {
    const [store, cache, trust] = [this.#store, this.#cache, this.#trust];
    return new ExplainedBindings({ bindings: this, store, cache, trust, degraded: this.#degraded });
  }

  /** Makes the agent's next request ask the store. */
  invalidate(entry: CachedBinding): void {
    entry.checkedAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Returns the binding of the names, or makes `proposal` that binding.
   *
   * @throws StaleView | StoreUnavailable | StoreFull | NamesNoAgent
   */
  async claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    leaves?: readonly InstanceId[],
    rebalance?: Rebalance,
  ): Promise<Bound> {
    if (this.#writer.isDue) await this.#writer.writeQueue();
    const bound = await this.#claims.claim(names, proposal, fencingToken, leaves, rebalance);
    if (proposal.group !== undefined) this.#members?.add(proposal.group.name, bound.binding.root);
    return bound;
  }

  /**
   * Moves the binding, unless another gateway has already; returns the one that holds.
   *
   * @throws StaleView | StoreUnavailable
   */
  async rebind(
    names: readonly Name[],
    expected: Binding,
    proposal: Proposal,
    fencingToken: string,
  ): Promise<Bound> {
    if (this.#writer.isDue) await this.#writer.writeQueue();
    return this.#claims.rebind(names, expected, proposal, fencingToken);
  }

  /** Returns the binding of the names, if there is one. Makes none. @throws StoreUnavailable */
  async lookup(names: readonly RequestName[]): Promise<Binding | undefined> {
    if (this.#writer.isDue) await this.#writer.writeQueue();
    return this.#claims.lookup(names);
  }

  /** {@link claim} without the store: known agents stay, unknown ones are placed. */
  claimAlone(names: readonly RequestName[], placement: Placement): Bound {
    return this.#degraded.claim(names, placement);
  }

  /** {@link rebind} without the store. */
  moveAlone(names: readonly Name[], expected: Binding, placement: Placement): Bound {
    const binding = this.#degraded.place(this.#cache.leadingTo(expected, names), expected.root, placement);
    this.#options.events.onRebound();
    return { binding, decision: 'rebound' };
  }

  /**
   * Writes back after the store was away or has lost data: all that was decided without it, also while this runs; and
   * all cached bindings, unless they were already written back to this store generation. Resolves to the number of
   * bindings written.
   *
   * @param storeGeneration of the store; without it everything is written
   * @throws StoreUnavailable
   */
  writeBack(storeGeneration?: string): Promise<number> {
    this.#claims.beginGeneration(storeGeneration);
    return this.#writer.writeAll(storeGeneration);
  }

  /** {@link Upkeep.refreshCounts}; to be called about once a second. */
  refreshCounts(): Promise<void> {
    return this.#upkeep.refreshCounts();
  }

  /** {@link Upkeep.tend} */
  tend(): Promise<void> {
    return this.#upkeep.tend();
  }

  async #renew(entry: CachedBinding): Promise<void> {
    entry.renewing = true;
    try {
      const binding = await this.#claims.renew(entry.names);
      if (binding === undefined) this.invalidate(entry);
    } catch (error) {
      // No request waits for a renewal; the next one tries again.
      if (!(error instanceof StoreUnavailable)) throw error;
    } finally {
      entry.renewing = false;
    }
  }
}
