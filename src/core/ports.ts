import type { Binding, Claim, Placement } from './binding.ts';
import type { Name, RequestName } from './identity.ts';
import type { InstanceId } from './instance.ts';
import type { RoutingState } from './view/routing-state.ts';
import type { Unanswered } from './view/store-outage.ts';
import type {
  LoggedEvent,
  PolicyRequest,
  ProposeRequest,
  SyncReply,
  SyncRequest,
} from './view/view-store.ts';

/** A binding with all its names that the caller knows, for {@link AffinityStore.restore}. */
export interface KnownBinding {
  readonly binding: Binding;
  /** Names other than the root. */
  readonly aliases: readonly Name[];
  /** The epoch in which the store last confirmed it; 0 if it was decided without the store. */
  readonly epoch: number;
}

/** One line of {@link AffinityStore.list}. */
export interface ListedBinding {
  readonly binding: Binding;
  /** Milliseconds until the binding ends if it is not renewed. */
  readonly expiresInMs: number;
}

/** A name that is not a root, and its root. */
export interface ListedAlias {
  readonly name: Name;
  readonly root: Name;
}

export interface BindingQuery {
  readonly instance?: InstanceId;
  /** List the aliases of all instances too. They count towards the page's limit, and may come before their roots. */
  readonly aliases?: boolean;
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

/** Receives changes made by other gateways. Calls must return quickly and must not throw. */
export interface AffinityListener {
  /**
   * Another gateway made or moved this binding in `epoch`, or gave it a new alias. `aliases` lead to it too; its
   * other aliases stay.
   */
  onBound(binding: Binding, aliases: readonly Name[], epoch: number): void;
  /** These names no longer mean the same: drop what is cached for them. */
  onMoved(names: readonly Name[]): void;
  /** Messages may have been missed until now. Also called when listening starts. */
  onGap(): void;
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
   * @param names a user, a session, or both, the user first; or an address
   * @param fencingToken of the view that the proposal is based on
   * @throws StaleView if that view is not in effect; nothing was done then
   * @throws NamesNoAgent
   */
  claim(names: readonly RequestName[], proposal: Placement, fencingToken: string): Promise<Claim>;

  /**
   * Moves the binding described by `expected` to `proposal`, if its generation is still the expected one or it has
   * ended meanwhile. Otherwise changes nothing. Returns the binding that holds afterwards; `made` tells whether this
   * call made it.
   *
   * @throws StaleView as for {@link claim}
   */
  rebind(expected: Binding, proposal: Placement, fencingToken: string): Promise<Claim>;

  /** Restarts the lifetime of the names. Returns their binding, or `undefined`. */
  renew(names: readonly Name[]): Promise<Binding | undefined>;

  /** Ends the binding of a name, and all its aliases. */
  release(name: Name): Promise<void>;

  /**
   * Writes back what the caller knows and the store may have lost. If the store has something else, the store wins.
   * But while its view store is closed, so that claims are impossible, the later generation wins. Returns the binding
   * that holds for each entry, in order.
   */
  restore(entries: readonly KnownBinding[]): Promise<Binding[]>;

  /** The number of live bindings of each instance. The cost does not depend on how many there are. */
  counts(): Promise<ReadonlyMap<InstanceId, number>>;

  /** Lists live bindings of one instance or of all, page by page, in no particular order. */
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
  /** The event log, the newest first. */
  events(limit: number): Promise<readonly LoggedEvent[]>;
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
