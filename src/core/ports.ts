import type { Binding, Claim, GroupProposal, Proposal } from './binding.ts';
import type { GroupsThere } from './groups.ts';
import type { Holdings } from './holdings.ts';
import type { Name, RequestName } from './identity.ts';
import type { InstanceId } from './instance.ts';
import type { Origin } from './origin.ts';
import type { Rebalance } from './rebalance.ts';
import type { LoggedEvent, PoolEvent } from './view/agreed-view.ts';
import type { RoutingState } from './view/routing-state.ts';
import type { Unanswered } from './view/store-outage.ts';
import type { PolicyRequest, ProposeRequest, SyncReply, SyncRequest } from './view/view-store.ts';

/** A binding with all its names that the caller knows, for {@link AffinityStore.restore}. */
export interface KnownBinding {
  readonly binding: Binding;
  /** Names other than the root. */
  readonly aliases: readonly Name[];
  /** The epoch in which the store last confirmed it; 0 if it was decided without the store. */
  readonly epoch: number;
  /** When it was decided, or used after a log-off, without the store, in milliseconds since the Unix epoch. */
  readonly placedAt?: number;
  /** Milliseconds since a request of the agent that the gateway knows of. */
  readonly usedAgoMs?: number;
  /** The name of the gateway that knows it. */
  readonly gateway?: string;
  /** Set if it is from a snapshot: milliseconds since the gateway that wrote that knew it. */
  readonly snapshotAgoMs?: number;
}

/** One line of {@link AffinityStore.list}. */
export interface ListedBinding {
  readonly binding: Binding;
  /** Milliseconds until the binding ends if it is not renewed. */
  readonly expiresInMs: number;
  /**
   * When a request of the agent last restarted the lifetime, in milliseconds since the Unix epoch by the store's clock.
   * Missing if a gateway of an earlier release restarted it, or no details were asked for.
   */
  readonly usedAt?: number;
  /** Set if the agent has logged off and sent no request since. Not known of bindings without `usedAt`. */
  readonly loggedOff?: true;
  /** Only names that were found in bodies have used it so far. Known if details were asked for. */
  readonly found?: boolean;
  /** Missing if no details were asked for, or if a gateway of an earlier release made or moved the binding. */
  readonly origin?: Origin;
}

/** A name that is not a root, and its root. */
export interface ListedAlias {
  readonly name: Name;
  readonly root: Name;
}

export interface BindingQuery {
  readonly instance?: InstanceId;
  /** The begin of the root's value, whatever its kind. */
  readonly prefix?: string;
  /** Only bindings whose lifetime was last restarted at least this many milliseconds ago. */
  readonly idleMs?: number;
  /** Tell also the origin of each binding, and whether its names were only found. */
  readonly details?: boolean;
  /** List the aliases of all instances too. They count towards the page's limit, and may come before their roots. */
  readonly aliases?: boolean;
  /** List the aliases of these roots, and nothing else. */
  readonly aliasesOf?: readonly Name[];
  /** The cursor of the previous page. */
  readonly cursor?: string;
  readonly limit?: number;
}

export interface BindingPage {
  readonly bindings: readonly ListedBinding[];
  /** Set if aliases were asked for. */
  readonly aliases?: readonly ListedAlias[];
  /** Pass it to get the next page; `undefined` after the last. */
  readonly cursor: string | undefined;
}

/** A log-off that the agent's instance has answered without a Fault. */
export interface LogOff {
  /** How long the binding lasts from now on. */
  readonly graceMs: number;
  /** How long ago the request came with which the agent logged off. */
  readonly ageMs: number;
  /** It was told before, and counts only if nothing has restarted the lifetime since. */
  readonly isAgain?: boolean;
}

/** What a listener learns of a log-off at another gateway. */
export interface HeardLogOff {
  /** The generation that the binding has got. */
  readonly generation: number;
  readonly endsInMs: number;
  readonly ageMs: number;
}

/** Receives changes made by other gateways. Calls must return quickly and must not throw. */
export interface AffinityListener {
  /**
   * Another gateway made or moved this binding in `epoch`, or gave it a new alias. `aliases` lead to it too; its
   * other aliases stay. `isNew`: see {@link Claim}.
   */
  onBound(binding: Binding, aliases: readonly Name[], epoch: number, isNew: boolean): void;
  /** These names no longer mean the same: drop what is cached for them. */
  onMoved(names: readonly Name[]): void;
  /** The agent with this root has logged off at another gateway. */
  onLoggedOff(root: Name, logOff: HeardLogOff): void;
  /** Messages may have been missed until now. Also called when listening starts. */
  onGap(): void;
}

/** What else {@link AffinityStore.peek} looks at. */
export interface PeekOptions {
  /** The step that is forecast needs this fencing token; `undefined` if it needs none. */
  readonly fencingToken?: string | undefined;
  /** The group of the agent. */
  readonly group?: GroupProposal | undefined;
  /** The agent is to be moved, so it does not count as a member of its group that stays. */
  readonly isMove?: boolean;
  /** Whether new names have room is asked too. */
  readonly needsRoom?: boolean;
}

/**
 * Stores, for one pool, which instance each identity is bound to.
 *
 * Several gateways share one store, so each method is one atomic step in the store: callers never read and then
 * write. Only the store measures lifetimes, by its own clock. Methods reject with {@link StoreUnavailable} if the
 * store does not answer in time; the caller decides what to do then.
 */
export interface AffinityStore {
  /**
   * Returns the binding of a request, or makes `proposal` that binding. Restarts the lifetime of the names that lead
   * to it. `core/evidence.ts` rules which name decides and which follows, from how the request carries them and what
   * the store has for them. A session that two users alternated on names no agent until it has been idle for a
   * lifetime.
   *
   * A new name is on probation until its second claim or renewal. Beyond the most names that the pool may have, it takes
   * the place of a name on probation, the oldest first. An agent who is bound gets its new alias in any case.
   *
   * @param names a user, a session, or both, the user first; or an address
   * @param fencingToken of the view that the proposal is based on
   * @param oldest an alias of the agent to give up if the claim adds one
   * @param leaves set for a log-on: at these instances, the binding of an agent who has logged off ends now, so that
   *   the claim makes a new one
   * @param rebalance set for a log-on: the same where an instance has more than its share, unless the agent's group has
   *   other members there
   * @throws StaleView if that view is not in effect; nothing was done then
   * @throws NamesNoAgent
   * @throws StoreFull if there is no place for an agent who is not bound; nothing was done then
   */
  claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    oldest?: Name,
    leaves?: readonly InstanceId[],
    rebalance?: Rebalance,
  ): Promise<Claim>;

  /**
   * Moves the binding described by `expected` to `proposal`, if its generation is still the expected one or it has
   * ended meanwhile. Otherwise changes nothing. Returns the binding that holds afterwards; `made` tells whether this
   * call made it.
   *
   * @throws StaleView as for {@link claim}
   */
  rebind(expected: Binding, proposal: Proposal, fencingToken: string): Promise<Claim>;

  /**
   * Restarts the lifetime of the names. Returns their binding, or `undefined`.
   *
   * @param seenAgoMs how long ago the last request of the agent ended that this gateway knows of; just now by default.
   *   If the agent has certainly logged off after that, nothing is done, and it returns `undefined`.
   */
  renew(names: readonly Name[], seenAgoMs?: number): Promise<Binding | undefined>;

  /**
   * Ends the binding described by `expected`, if its generation is still the expected one. Otherwise changes nothing.
   * Returns the binding that holds afterwards, if there is one. The agent's other names still lead to the same root:
   * the next claim with any of them makes the root's next binding, with a later generation than the ended one.
   *
   * @throws StaleView as for {@link claim}
   */
  release(expected: Binding, fencingToken: string): Promise<Binding | undefined>;

  /**
   * The agent has logged off: the binding described by `expected` ends after a grace, and gets the next generation, if
   * its generation is still the expected one. Otherwise changes nothing. Every gateway is told, and asks about the
   * agent's next request. That claim, or a renewal, restarts the lifetime as always, so the agent is there again. The
   * name is on probation no longer.
   * Returns the binding with its new generation, or `undefined` if nothing was done.
   */
  logOff(expected: Binding, logOff: LogOff): Promise<Binding | undefined>;

  /**
   * Writes back what the caller knows and the store may have lost. If the store has something else, the store wins.
   * But while its view store is closed, so that claims are impossible, the later generation wins. Returns the binding
   * that holds for each entry, in order; `undefined` for one that has ended by a release or a log-off.
   *
   * An entry with `placedAt` tells of an agent who was served without the store: a log-off before that is undone.
   *
   * An entry of a snapshot counts only while the view store is closed, and never against one that a living gateway
   * writes back, before or after it. Of two snapshots, the one that knew the binding later counts.
   */
  restore(entries: readonly KnownBinding[]): Promise<(Binding | undefined)[]>;

  /** The number of live bindings of each instance. The cost does not depend on how many there are. */
  counts(): Promise<ReadonlyMap<InstanceId, number>>;

  /** Where the groups of agents are. */
  groups(): Promise<ReadonlyMap<InstanceId, GroupsThere>>;

  /**
   * The binding of the first of these names that has one, with details. Unlike {@link renew} it leaves lifetimes as
   * they are, so that an operator who looks at an agent does not keep the binding alive.
   */
  find(names: readonly Name[]): Promise<ListedBinding | undefined>;

  /**
   * What the names of a request hold, so that `core/holdings.ts` can forecast what a claim would do. Changes nothing.
   *
   * @throws StaleView as {@link claim} would
   */
  peek(names: readonly RequestName[], options?: PeekOptions): Promise<Holdings>;

  /** Lists live bindings that match the query, page by page, in no particular order. */
  list(query: BindingQuery): Promise<BindingPage>;

  /** At most one listener; a second call replaces the first. */
  listen(listener: AffinityListener): void;

  close(): Promise<void>;
}

/** A command that timed out. Its connection is still open, so the store may still carry it out. */
export interface TimedOut {
  /** The timer fired late: the delay may lie in this process or machine, not in the store. */
  readonly wasLate: boolean;
  /** The late answer. Rejects when it can no longer come. */
  readonly answer: Promise<unknown>;
}

/** The store did not answer, or not in time. It may or may not have carried out the operation. */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable';
  readonly code = 'GW_AFFINITY_UNAVAILABLE';
  /** Missing if the store refused, or its connection broke. */
  readonly timedOut: TimedOut | undefined;

  constructor(message: string, cause?: unknown, timedOut?: TimedOut) {
    super(message, cause === undefined ? undefined : { cause });
    this.timedOut = timedOut;
  }
}

/** Did a timer of this process fire late, so that the failure says little about the store? */
export function wasLate(error: unknown): boolean {
  return error instanceof StoreUnavailable && error.timedOut?.wasLate === true;
}

/** A cursor that was not returned with any page. */
export class UnknownCursor extends Error {
  override readonly name = 'UnknownCursor';
  readonly statusCode = 400;

  constructor(cursor: string) {
    super(`unknown cursor ${JSON.stringify(cursor)}; pass the cursor of the previous page, or none`);
  }
}

/** The names of a request identify no agent: its session is shared, and it has no user. */
export class NamesNoAgent extends Error {
  override readonly name = 'NamesNoAgent';
}

/** The pool has as many names as it may have, or its store has no memory left, and no name on probation gives way. */
export class StoreFull extends Error {
  override readonly name = 'StoreFull';

  constructor() {
    super('the affinity store takes no new agent: see affinity.maxBindings');
  }
}

/** The claim or move is based on a view that is not in effect. Nothing was done. */
export class StaleView extends Error {
  override readonly name = 'StaleView';
}

/** Receives messages from the view store. Calls must return quickly and must not throw. */
export interface ViewStoreListener {
  /** Something has changed, so sync. `urgent` if requests may be waiting for it. */
  onNews(urgent: boolean): void;
  /** Another replica suspects the instance. */
  onSuspect(instance: InstanceId): void;
}

/**
 * One pool's view store, wherever it is kept. Each method is one atomic step, as `core/view/view-store.ts` defines
 * it. Methods reject with {@link StoreUnavailable} if the view store cannot answer in time.
 */
export interface ViewStoreClient {
  sync(request: SyncRequest): Promise<SyncReply>;
  /** Resolves to whether the proposal was accepted. */
  propose(request: ProposeRequest): Promise<boolean>;
  commitPolicy(request: PolicyRequest): Promise<boolean>;
  leave(replica: string): Promise<void>;
  /** The changes of the view, the newest first. */
  events(limit: number): Promise<readonly LoggedEvent[]>;
  /** What operators did, the newest first, after so many that are skipped. */
  acts(limit: number, skipped?: number): Promise<readonly LoggedEvent[]>;
  /** Logs what an operator did that changes no policy. */
  record(acts: readonly PoolEvent[]): Promise<void>;
  /** Asks the other replicas to probe the instance. Never rejects, and the message may get lost. */
  suspect(instance: InstanceId): void;
  /** At most one listener; a second call replaces the first. */
  listen(listener: ViewStoreListener): void;
  close(): Promise<void>;
}

/** Provides the agreed routing state of each pool. Requests read it and report failures; they never decide a view. */
export interface Coordinator {
  /** The same object as long as the gateway runs. */
  routingState(pool: string): RoutingState;
  /** Calls back after every change that a waiting request may wait for. Returns a function that ends this. */
  onChange(pool: string, listener: () => void): () => void;
  /** A request failed at the instance. Only brings forward its next probe, here and at the peers. */
  suspect(pool: string, instance: InstanceId): void;
  /** Syncs with the view store now. Resolves when it has answered, or not in time; never rejects. */
  renew(pool: string): Promise<void>;
  /**
   * The affinity store did not answer a claim. Asks the view store, which is kept in the same place, at once.
   *
   * @param claim when it was made, in monotonic ms, and whether the timer that gave it up was late
   */
  storeFailed(pool: string, claim: Unanswered): Promise<void>;
}

/** What the coordinator can ask of a pool's prober. */
export interface ProbeControl {
  /** Brings the instance's next probe forward. */
  hasten(instance: InstanceId): void;
}

/** The event log of a pool. All methods reject with {@link StoreUnavailable} while the view store is away. */
export interface EventLog {
  /** Changes of the view and acts of operators, the newest first. */
  newest(limit: number): Promise<readonly LoggedEvent[]>;
  /** The changes of the view alone. */
  views(limit: number): Promise<readonly LoggedEvent[]>;
  /** What operators did, after so many newer ones that are skipped. */
  acts(limit: number, skipped: number): Promise<readonly LoggedEvent[]>;
  record(acts: readonly PoolEvent[]): Promise<void>;
}
