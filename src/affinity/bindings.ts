import type { AgentBindings, Bound, CachedBinding } from '../core/agent-bindings.ts';
import type { Binding, Claim, Placement, Proposal } from '../core/binding.ts';
import type { Name, Names, RequestName } from '../core/identity.ts';
import { byWeight, nameKey } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore, BindingPage, BindingQuery, KnownBinding } from '../core/ports.ts';
import { StaleView, StoreUnavailable } from '../core/ports.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import { epochOf } from '../core/view/view-store.ts';
import type { BindingCache, Confirmation } from './binding-cache.ts';
import { Trust } from './binding-cache.ts';
import type { BindingsOptions } from './bindings-options.ts';
import { CacheWarmer } from './cache-warmer.ts';
import { leading, leadingTo, oldestAlias, passedOver } from './claimed-names.ts';
import { DegradedDecisions } from './degraded-decisions.ts';
import { ExplainedBindings } from './explained-bindings.ts';
import { KnownMembers } from './known-members.ts';
import { LogOffs } from './log-offs.ts';
import { RecentInvalidations } from './recent-invalidations.ts';
import { StoreMonitor } from './store-monitor.ts';
import { TimedOutClaims } from './timed-out-claims.ts';
import { WriteBack } from './write-back.ts';
import { WriteBackQueue } from './write-back-queue.ts';

// A renewal does not tell which of two names led to the binding.
const NOT_TOLD: readonly Name[] = [];

/** When, in which epoch and in which store generation the store was asked. */
interface Asked extends Confirmation {
  readonly storeGeneration: string | undefined;
}

/**
 * The bindings of one pool: a cache in front of the store, and a degraded mode for when the store is away.
 *
 * The caller decides by the agreed view which of them to use. In degraded mode, known agents stay where the cache
 * says, unknown ones go where the caller places them, and every decision enters the write-back queue. The queue is
 * written back before the store is used for anything else; if the store has something different, the store wins.
 */
export class Bindings implements AgentBindings {
  readonly #options: BindingsOptions;
  readonly #store: AffinityStore;
  readonly #cache: BindingCache;
  /** Written back before the store is asked, so that the store knows what was decided here. */
  readonly #writeBackQueue = new WriteBackQueue();
  readonly #writer: WriteBack;
  readonly #warmer: CacheWarmer;
  readonly #invalidations = new RecentInvalidations();
  readonly logOffs: LogOffs;
  readonly #monitor: StoreMonitor;
  readonly #degraded: DegradedDecisions;
  readonly #members: KnownMembers | undefined;
  readonly #timedOutClaims = new TimedOutClaims(() => this.#onLateAnswers());
  #onLateAnswers: () => void = () => {};
  #counts: ReadonlyMap<InstanceId, number> | undefined;
  readonly #trust: Trust;
  /** The latest known store generation. */
  #storeGeneration: string | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(options: BindingsOptions) {
    const { store, cache, epoch, gateway, hasLogOffs = true } = options;
    [this.#options, this.#store, this.#cache] = [options, store, cache];
    this.#trust = new Trust(options.sessionsAreProvisional);
    this.#members = options.groups && new KnownMembers(options.groups, cache);
    this.#monitor = new StoreMonitor(options.events);
    this.#degraded = new DegradedDecisions(cache, this.#writeBackQueue, options.events.onConflict);
    this.#writer = new WriteBack({
      store,
      cache,
      queue: this.#writeBackQueue,
      gateway,
      onWrittenBack: (...written) => this.#onWrittenBack(...written),
    });
    this.#warmer = new CacheWarmer({
      store,
      cache,
      epoch,
      isOutdated: (...asked) => this.#invalidations.isOutdated(...asked),
    });
    this.logOffs = new LogOffs({
      store,
      cache,
      queue: this.#writeBackQueue,
      monitor: this.#monitor,
      seesRequests: hasLogOffs,
      invalidations: this.#invalidations,
      renew: (...asked) => this.#ask('renew', ...asked),
    });
    store.listen({
      onBound: (binding, aliases, newsEpoch, isNew) =>
        this.#cache.announce(binding, aliases, newsEpoch, performance.now(), isNew),
      onMoved: (names) => this.#onMoved(names),
      onLoggedOff: (root, logOff) => this.logOffs.heard(root, logOff),
      onGap: () => {
        this.#trust.since = performance.now();
        this.#warmer.mayHaveMissed();
      },
    });
  }

  async close(): Promise<void> {
    await this.#warmer.close();
    await this.#store.close();
  }

  /** Live bindings per instance, about a second old, or older if the store does not answer; `undefined` at first. */
  get counts(): ReadonlyMap<InstanceId, number> | undefined {
    return this.#counts;
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
    return this.#timedOutClaims.isOpen(names);
  }

  /** At most one listener, called after late answers to claims. */
  onLateAnswers(listener: () => void): void {
    this.#onLateAnswers = listener;
  }

  /**
   * Called by the store's connection. While it brings no messages about moves, the cache is not trusted. A connection
   * that is up is not enough: the store tells when it receives messages again.
   */
  hearing(state: 'up' | 'down'): void {
    if (state === 'up') return;
    this.#trust.since = Number.POSITIVE_INFINITY;
    this.#warmer.mayHaveMissed();
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
  ): Promise<Bound> {
    if (this.#writeBackQueue.size > 0) await this.#writer.writeQueue();
    const asked = this.#asking(epochOf(fencingToken));
    const claim = await this.#answered(
      names,
      asked,
      'claim',
      this.#store.claim(names, this.#named(proposal), fencingToken, oldestAlias(this.#cache, names), leaves),
    );
    if (proposal.group !== undefined) this.#members?.add(proposal.group.name, claim.binding.root);
    const decision = claim.made ? 'claimed' : 'bound';
    return { binding: claim.binding, decision, passedOver: passedOver(names, claim) };
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
    if (this.#writeBackQueue.size > 0) await this.#writer.writeQueue();
    const asked = this.#asking(epochOf(fencingToken));
    const moving = this.#store.rebind(expected, this.#named(proposal), fencingToken);
    const claim = await this.#answered(leadingTo(this.#cache, expected, names), asked, 'rebind', moving);
    if (claim.made) this.#options.events.onRebound();
    return { binding: claim.binding, decision: claim.made ? 'rebound' : 'bound' };
  }

  /** Returns the binding of the names, if there is one. Makes none. @throws StoreUnavailable */
  async lookup(names: readonly RequestName[]): Promise<Binding | undefined> {
    if (this.#writeBackQueue.size > 0) await this.#writer.writeQueue();
    return this.#ask('lookup', byWeight(names), names.length === 1 ? names : NOT_TOLD);
  }

  /** {@link claim} without the store: known agents stay, unknown ones are placed. */
  claimAlone(names: readonly RequestName[], placement: Placement): Bound {
    return this.#degraded.claim(names, placement);
  }

  /** {@link rebind} without the store. */
  moveAlone(names: readonly Name[], expected: Binding, placement: Placement): Bound {
    const binding = this.#degraded.place(leadingTo(this.#cache, expected, names), expected.root, placement);
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
    this.#storeGeneration = storeGeneration;
    return this.#writer.writeAll(storeGeneration);
  }

  /**
   * To be called about once a second: refreshes the counts, writes back what was decided during a short failure, and
   * continues to warm the cache. Never rejects.
   */
  refreshCounts(): Promise<void> {
    this.#refreshing ??= this.#tend(true).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** {@link refreshCounts} for a process that does not need the counts; to be called while the store answers. */
  tend(): Promise<void> {
    // Detects that the store answers again even if no agent sends a request.
    return this.#tend(this.trouble !== undefined);
  }

  async #tend(counts: boolean): Promise<void> {
    try {
      if (this.#writeBackQueue.size > 0) await this.#writer.writeQueue();
      if (counts) this.#counts = await this.#monitor.watch(this.#store.counts());
      this.#warmer.tick();
    } catch (error) {
      // Keep what was last known; the next call tries again.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  #named(proposal: Proposal): Proposal {
    return { ...proposal, gateway: this.#options.gateway };
  }

  #asking(epoch: number): Asked {
    return { askedAt: performance.now(), epoch, storeGeneration: this.#storeGeneration };
  }

  /** @param isOfRequest false for a renewal in the background */
  #learn(
    names: readonly RequestName[],
    claim: Claim,
    { askedAt, epoch, storeGeneration }: Asked,
    isOfRequest = true,
  ): void {
    const { events } = this.#options;
    if (claim.conflict !== undefined && passedOver(names, claim) === undefined) {
      events.onConflict(names, claim.conflict, claim.binding);
    }
    const session = names[1];
    if (claim.by === 'user' && session !== undefined && session.found !== true) {
      this.#cache.share(session, askedAt);
      events.onShared(session);
    }
    const led = leading(names, claim);
    if (this.#invalidations.isOutdated([...led, claim.binding.root], askedAt)) {
      if (isOfRequest) this.logOffs.afterClaim([claim.binding.root, ...led], askedAt);
      return;
    }
    if (claim.replaced !== undefined) {
      this.#onMoved(claim.replaced);
      events.onReplaced(claim.replaced.length);
    }
    // The store may have lost what it said in an earlier generation, and it may have been too late to write it back.
    const entry = this.#cache.put(led, claim.binding, {
      askedAt,
      epoch: storeGeneration === this.#storeGeneration ? epoch : 0,
    });
    entry.isNew = claim.isNew === true;
  }

  /** Learns from the store's answer, even from a late one. */
  async #answered(
    names: readonly Name[],
    asked: Asked,
    operation: 'claim' | 'rebind',
    asking: Promise<Claim>,
  ): Promise<Claim> {
    const claim = await this.#monitor.count(operation, asking).catch((failure: unknown) => {
      this.#timedOutClaims.await(names, failure, (late) => this.#learn(names, late, asked));
      throw failure;
    });
    this.#learn(names, claim, asked);
    this.#refuseIfForgotten(asked);
    return claim;
  }

  /** What was done in an earlier store generation may be lost, so the caller has to ask again. */
  #refuseIfForgotten({ storeGeneration }: Asked): void {
    if (storeGeneration !== this.#storeGeneration)
      throw new StaleView('the store has begun another generation');
  }

  /** Asks the store for the binding, as of the epoch known when it is asked. */
  async #ask(
    operation: 'lookup' | 'renew',
    names: readonly Name[],
    told: readonly Name[] = names,
    seenAgoMs?: number,
  ): Promise<Binding | undefined> {
    const asked = this.#asking(this.#options.epoch());
    const binding = await this.#monitor.count(operation, this.#store.renew(names, seenAgoMs));
    if (binding !== undefined) this.#learn(told, { binding, made: false }, asked, operation === 'lookup');
    return binding;
  }

  async #renew(entry: CachedBinding): Promise<void> {
    entry.renewing = true;
    try {
      const binding = await this.#ask('renew', entry.names);
      if (binding === undefined) this.invalidate(entry);
    } catch (error) {
      // No request waits for a renewal; the next one tries again.
      if (!(error instanceof StoreUnavailable)) throw error;
    } finally {
      entry.renewing = false;
    }
  }

  #onWrittenBack(
    written: KnownBinding,
    held: Binding | undefined,
    wasDecidedHere: boolean,
    askedAt: number,
  ): void {
    const { binding, aliases } = written;
    const names = [binding.root, ...aliases];
    if (held === undefined) {
      this.#cache.forget(binding.root);
      return;
    }
    const isSamePlace = held.instance === binding.instance && held.incarnation === binding.incarnation;
    if (wasDecidedHere && !isSamePlace) this.#options.events.onConflict(names, binding, held);
    if (this.#invalidations.isOutdated(names, askedAt)) return;
    // Writing back is not based on a view. An unchanged binding keeps its epoch; any other is not confirmed yet.
    this.#cache.put(names, held, { askedAt, epoch: 0 });
  }

  #onMoved(names: readonly Name[]): void {
    for (const name of names) this.#cache.forget(name);
    this.#invalidations.add(names, performance.now());
  }
}
