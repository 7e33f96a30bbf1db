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

/** A binding and every name of it that the caller knows, for {@link AffinityStore.restore}. */
export interface KnownBinding {
  readonly binding: Binding;
  /** Names other than the root. */
  readonly aliases: readonly Name[];
  /** The epoch in which the store confirmed it last; 0 for what was decided without the store. */
  readonly epoch: number;
}

/** One line of {@link AffinityStore.list}. */
export interface ListedBinding {
  readonly binding: Binding;
  /** Milliseconds until the binding ends if nobody renews it. */
  readonly expiresInMs: number;
}

/** A name that is no root, and the root that it leads to. */
export interface ListedAlias {
  readonly name: Name;
  readonly root: Name;
}

export interface BindingQuery {
  readonly instance?: InstanceId;
  /** Tell the aliases too, of whatever instance. They count as lines of the page, and may come before their roots. */
  readonly aliases?: boolean;
  /** Where the last page ended. */
  readonly cursor?: string;
  readonly limit?: number;
}

export interface BindingPage {
  readonly bindings: readonly ListedBinding[];
  /** Set where they were asked for. */
  readonly aliases?: readonly ListedAlias[];
  /** Pass it to get the next page; `undefined` after the last. */
  readonly cursor: string | undefined;
}

/** Tells of changes that somebody else made. Calls must return quickly and not throw. */
export interface AffinityListener {
  /**
   * Somebody made or moved this binding in `epoch`, or gave it a new alias;
   * `aliases` lead to it too. Other aliases of it stay.
   */
  onBound(binding: Binding, aliases: readonly Name[], epoch: number): void;
  /** These names no longer mean what they meant: forget what was cached for them. */
  onMoved(names: readonly Name[]): void;
  /** Changes may have been missed until now. Also told when listening begins. */
  onGap(): void;
}

/**
 * Remembers, for one pool, which instance each identity is bound to.
 *
 * Several gateways share one store, so each method is a single atomic step at
 * the store: callers never read and then write. The store alone measures
 * lifetimes, by its own clock. Methods reject with {@link StoreUnavailable} when
 * the store cannot answer in time; what to do about that is the caller's
 * decision, not the store's.
 */
export interface AffinityStore {
  /**
   * Returns the binding of a request, or makes `proposal` that binding, and
   * starts the lifetime of the names that lead to it again. Which name decides, and
   * which follows, is ruled by `core/evidence.ts` from how the request bears them
   * and what they have here. A session that two users took turns with names
   * no agent until it was idle for a lifetime.
   *
   * @param names a user, a session, or both, the user first; or an address
   * @param fencingToken stands for the view that the proposal was made from
   * @throws StaleView if that view is not in effect; nothing was done then
   * @throws NamesNoAgent
   */
  claim(names: readonly RequestName[], proposal: Placement, fencingToken: string): Promise<Claim>;

  /**
   * Moves the binding that `expected` describes to `proposal`, if its generation
   * is still the expected one or it has ended meanwhile. Else changes nothing.
   * Returns the binding that holds afterwards; `made` tells whether it is ours.
   *
   * @throws StaleView as for {@link claim}
   */
  rebind(expected: Binding, proposal: Placement, fencingToken: string): Promise<Claim>;

  /** Starts the lifetime of the names anew. Returns the binding that holds, or `undefined`. */
  renew(names: readonly Name[]): Promise<Binding | undefined>;

  /** Ends the binding of a name, and with it the meaning of all its aliases. */
  release(name: Name): Promise<void>;

  /**
   * Writes back what the caller knows and the store may have lost. Where the
   * store holds something else, the store wins; but as long as its ledger is
   * closed, so that nobody can claim, the later generation does. Returns the
   * binding that holds for each entry, in order.
   */
  restore(entries: readonly KnownBinding[]): Promise<Binding[]>;

  /** How many live bindings each instance has. Costs the same however many there are. */
  counts(): Promise<ReadonlyMap<InstanceId, number>>;

  /** Live bindings, of one instance or of all, page by page, in no particular order. */
  list(query: BindingQuery): Promise<BindingPage>;

  /** At most one listener; a second call replaces the first. */
  listen(listener: AffinityListener): void;

  close(): Promise<void>;
}

/** A command that was given up before its answer came. Its connection is open, so it may still be carried out. */
export interface TimedOut {
  /** The timer fired late: this process or its machine is slow, and the store may not be. */
  readonly wasLate: boolean;
  /** The answer, should it still come. Rejects when it cannot come any more. */
  readonly answer: Promise<unknown>;
}

/** The store did not answer, or not in time. The operation may or may not have happened. */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable';
  readonly code = 'GW_AFFINITY_UNAVAILABLE';
  /** Missing where the store refused, or its connection broke. */
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

/** A cursor that no page was given with. */
export class UnknownCursor extends Error {
  override readonly name = 'UnknownCursor';
  readonly statusCode = 400;

  constructor(cursor: string) {
    super(
      `cursor ${JSON.stringify(cursor)} is none; give the one that the last page ended with, or leave it out`,
    );
  }
}

/** The names of a request are of no use: its session is shared, and it has no user. */
export class NamesNoAgent extends Error {
  override readonly name = 'NamesNoAgent';
}

/** The view on which a claim or a move was based is not the one in effect. Nothing was done. */
export class StaleView extends Error {
  override readonly name = 'StaleView';
}

/** What a ledger tells without being asked. Calls must return quickly and not throw. */
export interface ViewStoreListener {
  /**
   * Something has changed: worth a sync. `urgent` where requests may be waiting for it.
   */
  onNews(urgent: boolean): void;
  /** Another replica has reason to doubt the instance. */
  onSuspect(instance: InstanceId): void;
}

/**
 * One pool's ledger, wherever it is kept. Each method is one atomic step, as
 * `agreement/ledger.ts` defines it. Methods reject with {@link StoreUnavailable}
 * when the ledger cannot answer in time.
 */
export interface ViewStoreClient {
  sync(request: SyncRequest): Promise<SyncReply>;
  /** Resolves to whether it was taken. */
  propose(request: ProposeRequest): Promise<boolean>;
  commitPolicy(request: PolicyRequest): Promise<boolean>;
  leave(replica: string): Promise<void>;
  /** The event log, the newest first. */
  events(limit: number): Promise<readonly LoggedEvent[]>;
  /** Tells the other replicas to look at the instance. Never rejects, and may be lost. */
  suspect(instance: InstanceId): void;
  /** At most one listener; a second call replaces the first. */
  listen(listener: ViewStoreListener): void;
  close(): Promise<void>;
}

/**
 * Tells what is agreed about the instances of each pool. The data plane reads
 * standings and reports what it saw; it never decides a view.
 */
export interface Coordinator {
  /** The same object for as long as the gateway runs. */
  routingState(pool: string): RoutingState;
  /** Calls back after every change for which a waiting request may have waited; returns the way to stop that. */
  onChange(pool: string, listener: () => void): () => void;
  /** Real traffic failed at the instance. Hastens its next probe, here and at the peers, and does nothing else. */
  suspect(pool: string, instance: InstanceId): void;
  /** Asks the ledger now. Resolves once it has answered, or has not in time; never rejects. */
  renew(pool: string): Promise<void>;
  /**
   * The affinity store did not answer a claim. The ledger, which it is kept with, is asked at once.
   *
   * @param claim when it was made, in monotonic ms, and whether the timer that gave it up was late
   */
  storeFailed(pool: string, claim: Unanswered): Promise<void>;
}

/** What a pool's prober lets the coordinator ask for. */
export interface ProbeControl {
  /** Brings the instance's next probe forward. */
  hasten(instance: InstanceId): void;
}
