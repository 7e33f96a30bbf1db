import type { Binding, Claim, Placement } from '../core/binding.ts';
import { GatewayError } from '../core/errors.ts';
import type { Name } from '../core/identity.ts';
import { nameKey } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore, BindingPage, BindingQuery } from '../core/ports.ts';
import { StoreLost, StoreUnavailable } from '../core/ports.ts';
import type { BindingCache, CachedBinding } from './binding-cache.ts';
import { Journal } from './journal.ts';
import { storedKey } from './stored-name.ts';

/** How a request came by its binding; the `decision` of logs and metrics. */
export type Decision = 'bound' | 'claimed' | 'rebound' | 'storeless';

export interface Bound {
  readonly binding: Binding;
  readonly decision: Decision;
}

export interface BindingsEvents {
  onStoreState(state: 'available' | 'away', detail: string): void;
  /** An agent had been served by `was` under one of these names, and from now on is by `now`. */
  onConflict(names: readonly Name[], was: Placement, now: Placement): void;
  /** A binding was moved from here, because its instance or incarnation was gone. */
  onRebound(): void;
  onOperation(operation: string, outcome: 'ok' | 'unavailable', seconds: number): void;
}

export interface BindingsOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  readonly onStoreLoss: 'continue' | 'refuse';
  /**
   * True where a session that was seen alone may turn out to be an agent's who is
   * bound elsewhere. Such a binding is then asked for every time: nothing but the
   * store can tell that the user has been seen with it.
   */
  readonly sessionsAreProvisional: boolean;
  readonly events: BindingsEvents;
}

const HEARTBEAT_MS = 1_000;
const AWAY_RETRY_MS = 250;
// Told of one outage.
const MOST_REASONS = 4;
// After a loss every gateway writes back what it knows, and finds out within a heartbeat that it has to. Until then
// a gateway that does not know an agent must not take him for new.
const RECOVERY_MS = 1_500;
// Names whose move was heard lately; see #isOutdated.
const REMEMBERED_MOVES = 10_000;

/**
 * The bindings of one pool as the data plane sees them: a cache in front of the
 * store, and a way to go on when the store is away.
 *
 * While the store is away, known agents are routed by the cache, unknown ones as
 * the caller proposes, and both are written down. When it is back, what was
 * written down goes to the store before the store is used for anything else;
 * where the store holds something different, the store wins.
 */
export class Bindings {
  readonly #options: BindingsOptions;
  readonly #store: AffinityStore;
  readonly #cache: BindingCache;
  readonly #journal = new Journal();
  readonly #moves = new Map<string, number>();
  #counts: ReadonlyMap<InstanceId, number> = new Map();
  #available = false;
  /** Why the store is away, as far as it was told. */
  readonly #reasons = new Set<string>();
  /** The store has lost data that is being written back. */
  #recovering = false;
  #marker: string | undefined;
  #trustedSince = Number.NEGATIVE_INFINITY;
  #heartbeat: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  #closed = false;

  constructor(options: BindingsOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#cache = options.cache;
    options.store.listen({
      onMoved: (names) => this.#onMoved(names),
      onGap: () => {
        this.#trustedSince = performance.now();
      },
    });
  }

  /** Asks the store once, so that the first request need not; resolves whether or not it answers. */
  async start(): Promise<void> {
    await this.#beat();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#heartbeat);
    await this.#store.close();
  }

  get available(): boolean {
    return this.#available;
  }

  /** Live bindings per instance, at most a second old; what was last known while the store is away. */
  get counts(): ReadonlyMap<InstanceId, number> {
    return this.#counts;
  }

  get cached(): number {
    return this.#cache.size;
  }

  /** Told by the store's connection as soon as it breaks, so that no request has to find out. */
  storeIsDown(detail: string): void {
    this.#markAway(detail);
  }

  /** Told by the store's connection: while it brings no news of moves, the cache is trusted for nothing. */
  hearing(state: 'up' | 'down'): void {
    this.#trustedSince = state === 'down' ? Number.POSITIVE_INFINITY : performance.now();
  }

  /**
   * Live bindings as the store has them, for operators.
   *
   * @throws StoreUnavailable while the store is away
   */
  list(query: BindingQuery): Promise<BindingPage> {
    return this.#store.list(query);
  }

  /** What is known of these names here, without asking anyone. */
  find(user: string | undefined, session: string | undefined): CachedBinding | undefined {
    return this.#cache.find(user, session);
  }

  get(name: Name): CachedBinding | undefined {
    return this.#cache.get(nameKey(name.kind, name.value));
  }

  /** May the cached binding be acted on without asking the store? Renews it in the background when due. */
  isTrusted(entry: CachedBinding): boolean {
    if (!this.#available) return true;
    const now = performance.now();
    if (entry.checkedAt < this.#trustedSince || !this.#cache.isTrusted(entry, now)) return false;
    if (this.#options.sessionsAreProvisional && entry.binding.root.kind === 'session') return false;
    if (this.#cache.needsRenewal(entry, now) && !entry.renewing) void this.#renew(entry);
    return true;
  }

  /** Makes the next request of this agent ask the store. */
  distrust(entry: CachedBinding): void {
    entry.checkedAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Learns the binding that holds for the names, or makes `proposal` that binding.
   *
   * @param storeless what to propose while the store is known to be away: depends on nothing but the name,
   *   so that gateways that cannot talk agree
   * @throws GatewayError `GW_AFFINITY_UNAVAILABLE` if the store is away and the pool is told to refuse
   */
  async claim(names: readonly Name[], proposal: Placement, storeless: Placement): Promise<Bound> {
    if (this.#recovering) return this.#claimAfterLoss(names, proposal, storeless);
    if (this.#available) {
      const begunAt = performance.now();
      try {
        const claim = await this.#timed('claim', this.#store.claim(names, proposal));
        this.#learn(names, claim, begunAt);
        return { binding: claim.binding, decision: claim.made ? 'claimed' : 'bound' };
      } catch (error) {
        this.#absorb(error);
        if (error instanceof StoreLost) return this.#claimAfterLoss(names, proposal, storeless);
        // It may have been done all the same; then both agree on what was proposed.
        return this.#claimStoreless(names, proposal);
      }
    }
    return this.#claimStoreless(names, storeless);
  }

  /** Agents that are known go on; whether the others are new shows when all gateways have written back. */
  async #claimAfterLoss(names: readonly Name[], proposal: Placement, storeless: Placement): Promise<Bound> {
    if (this.#known(names) !== undefined) return this.#claimStoreless(names, storeless);
    await this.#beat();
    if (!this.#available || this.#recovering) return this.#claimStoreless(names, storeless);
    return this.claim(names, proposal, storeless);
  }

  /** Learns the binding that holds for the names, if there is one. Makes none. */
  async lookup(names: readonly Name[]): Promise<Binding | undefined> {
    if (this.#available) {
      const begunAt = performance.now();
      try {
        const binding = await this.#timed('lookup', this.#store.renew(names));
        if (binding !== undefined) this.#learn(names, { binding, made: false }, begunAt);
        return binding;
      } catch (error) {
        this.#absorb(error);
      }
    }
    return this.#known(names)?.binding;
  }

  /**
   * Moves the binding, unless somebody has already; returns the one that holds.
   *
   * @param storeless where to move it while the store is known to be away; as for {@link claim}
   */
  async rebind(
    names: readonly Name[],
    expected: Binding,
    proposal: Placement,
    storeless: Placement,
  ): Promise<Bound> {
    let placement = storeless;
    if (this.#available) {
      const begunAt = performance.now();
      try {
        const claim = await this.#timed('rebind', this.#store.rebind(expected, proposal));
        this.#learn(names, claim, begunAt);
        if (claim.made) this.#options.events.onRebound();
        return { binding: claim.binding, decision: claim.made ? 'rebound' : 'bound' };
      } catch (error) {
        this.#absorb(error);
        // Should the store have done it after all, both agree.
        if (!(error instanceof StoreLost)) placement = proposal;
      }
    }
    const binding: Binding = { ...placement, root: expected.root, generation: expected.generation + 1 };
    this.#write(names, binding, expected);
    this.#options.events.onRebound();
    return { binding, decision: 'rebound' };
  }

  #claimStoreless(names: readonly Name[], placement: Placement): Bound {
    const known = this.#known(names);
    if (known !== undefined) {
      this.#join(names, known);
      return { binding: known.binding, decision: 'bound' };
    }
    if (this.#options.onStoreLoss === 'refuse') throw new GatewayError('GW_AFFINITY_UNAVAILABLE');
    const root = names[0] as Name;
    const binding: Binding = { ...placement, root, generation: 0 };
    this.#write(names, binding, undefined);
    return { binding, decision: 'storeless' };
  }

  /** What the store would do in a claim: the name that decides first is right, and the others follow it. */
  #join(names: readonly Name[], known: CachedBinding): void {
    const leaders = names.map((name) => this.get(name));
    if (leaders.every((entry) => entry === known)) return;
    const displaced = leaders.find((entry) => entry !== undefined && entry !== known);
    if (displaced !== undefined && displaced.binding.instance !== known.binding.instance) {
      this.#options.events.onConflict(names, displaced.binding, known.binding);
    }
    this.#journal.join(names, known.binding);
    this.#cache.put(names, known.binding, known.checkedAt);
  }

  #known(names: readonly Name[]): CachedBinding | undefined {
    for (const name of names) {
      const entry = this.get(name);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #write(names: readonly Name[], binding: Binding, from: Binding | undefined): void {
    this.#journal.write(names, binding, from);
    this.#cache.put(names, binding, performance.now());
  }

  #learn(names: readonly Name[], claim: Claim, begunAt: number): void {
    if (claim.conflict !== undefined) {
      this.#options.events.onConflict(names, claim.conflict, claim.binding);
    }
    // Not what was overtaken: the news of a move can arrive before the older answer.
    if (!this.#isOutdated([...names, claim.binding.root], begunAt)) {
      this.#cache.put(names, claim.binding, performance.now());
    }
  }

  async #renew(entry: CachedBinding): Promise<void> {
    entry.renewing = true;
    const begunAt = performance.now();
    try {
      const binding = await this.#timed('renew', this.#store.renew(entry.names));
      if (binding === undefined) this.distrust(entry);
      else this.#learn(entry.names, { binding, made: false }, begunAt);
    } catch (error) {
      // Nobody waits for a renewal, so whatever it was, it shows as a store that is away.
      this.#markAway(String(error));
    } finally {
      entry.renewing = false;
    }
  }

  #onMoved(names: readonly Name[]): void {
    const now = performance.now();
    for (const name of names) {
      this.#cache.forget(name);
      const key = storedKey(name);
      this.#moves.delete(key);
      this.#moves.set(key, now);
    }
    for (const oldest of this.#moves.keys()) {
      if (this.#moves.size <= REMEMBERED_MOVES) break;
      this.#moves.delete(oldest);
    }
  }

  #isOutdated(names: readonly Name[], begunAt: number): boolean {
    if (this.#moves.size === 0) return false;
    return names.some((name) => (this.#moves.get(storedKey(name)) ?? -1) >= begunAt);
  }

  #absorb(error: unknown): void {
    if (!(error instanceof StoreUnavailable)) throw error;
    this.#markAway(error.message);
  }

  #markAway(detail: string): void {
    if (this.#closed) return;
    const wasAvailable = this.#available;
    this.#available = false;
    if (wasAvailable) this.#schedule(AWAY_RETRY_MS);
    // The first reason is often the least telling: a connection that ended. Not every one of a long outage is news.
    if (this.#reasons.has(detail) || this.#reasons.size >= MOST_REASONS) return;
    this.#reasons.add(detail);
    this.#options.events.onStoreState('away', detail);
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#heartbeat);
    if (!this.#closed) this.#heartbeat = setTimeout(() => void this.#beat(), delayMs);
  }

  /** Finds out whether the store is there and has lost nothing, and brings it up to date if it was not. */
  #beat(): Promise<void> {
    this.#beating ??= this.#look().finally(() => {
      this.#beating = undefined;
      this.#schedule(this.#available ? HEARTBEAT_MS : AWAY_RETRY_MS);
    });
    return this.#beating;
  }

  async #look(): Promise<void> {
    try {
      const marker = await this.#store.marker();
      if (!this.#available || marker !== this.#marker) await this.#reconcile(marker);
      this.#counts = await this.#store.counts();
    } catch (error) {
      this.#markAway(error instanceof Error ? error.message : String(error));
    } finally {
      this.#recovering = false;
    }
  }

  async #reconcile(marker: string): Promise<void> {
    if (this.#marker === undefined || marker === this.#marker) {
      const written = await this.#emptyJournal();
      this.#resume(marker, `${written} bindings written back`);
      return;
    }
    this.#recovering = true;
    this.#markAway('the store has lost its data');
    await this.#recover(marker);
  }

  /** The caches of the gateways are the mirror of what the store has forgotten. */
  async #recover(marker: string): Promise<void> {
    const begunAt = performance.now();
    for (const { binding, names } of this.#cache.entries()) this.#journal.remember(names, binding);
    let written = await this.#emptyJournal();
    await new Promise<void>((resolve) => {
      setTimeout(resolve, begunAt + RECOVERY_MS - performance.now());
    });
    // What was placed while the others wrote back.
    written += await this.#emptyJournal();
    this.#resume(marker, `the store had lost its data; ${written} bindings written back`);
  }

  #resume(marker: string, detail: string): void {
    this.#marker = marker;
    this.#available = true;
    this.#recovering = false;
    this.#reasons.clear();
    this.#options.events.onStoreState('available', detail);
  }

  #emptyJournal(): Promise<number> {
    return this.#journal.writeBack(this.#store, (names, written, held) => {
      if (held.instance !== written.instance || held.incarnation !== written.incarnation) {
        this.#options.events.onConflict(names, written, held);
      }
      this.#cache.put(names, held, performance.now());
    });
  }

  async #timed<T>(operation: string, running: Promise<T>): Promise<T> {
    const begunAt = performance.now();
    try {
      const result = await running;
      this.#options.events.onOperation(operation, 'ok', (performance.now() - begunAt) / 1_000);
      return result;
    } catch (error) {
      this.#options.events.onOperation(operation, 'unavailable', (performance.now() - begunAt) / 1_000);
      throw error;
    }
  }
}
