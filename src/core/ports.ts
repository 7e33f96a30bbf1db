import type { Binding, Claim, Placement } from './binding.ts';
import type { Name } from './identity.ts';
import type { InstanceId } from './instance.ts';
import type { View } from './view.ts';

/** A binding and every name of it that the caller knows, for {@link AffinityStore.restore}. */
export interface KnownBinding {
  readonly binding: Binding;
  /** Names other than the root. */
  readonly aliases: readonly Name[];
}

/** One line of {@link AffinityStore.list}. */
export interface ListedBinding {
  readonly binding: Binding;
  /** Milliseconds until the binding ends if nobody renews it. */
  readonly expiresInMs: number;
}

export interface BindingQuery {
  readonly instance?: InstanceId;
  /** Where the last page ended. */
  readonly cursor?: string;
  readonly limit?: number;
}

export interface BindingPage {
  readonly bindings: readonly ListedBinding[];
  /** Pass it to get the next page; `undefined` after the last. */
  readonly cursor: string | undefined;
}

/** Tells of changes that somebody else made. Calls must return quickly and not throw. */
export interface AffinityListener {
  /** These names no longer mean what they meant: forget what was cached for them. */
  onMoved(names: readonly Name[]): void;
  /** Changes may have been missed: forget everything that was cached. */
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
   * Returns the binding of the first name that has one, or makes `proposal` the
   * binding of the first name. Every other name is made to point to it, and the
   * lifetime of all starts anew.
   *
   * @param names one or two names, the one that decides first
   */
  claim(names: readonly Name[], proposal: Placement): Promise<Claim>;

  /**
   * Moves the binding that `expected` describes to `proposal`, if its generation
   * is still the expected one or it has ended meanwhile. Else changes nothing.
   * Returns the binding that holds afterwards; `made` tells whether it is ours.
   */
  rebind(expected: Binding, proposal: Placement): Promise<Claim>;

  /** Starts the lifetime of the names anew. Returns the binding that holds, or `undefined`. */
  renew(names: readonly Name[]): Promise<Binding | undefined>;

  /** Ends the binding of a name, and with it the meaning of all its aliases. */
  release(name: Name): Promise<void>;

  /**
   * Writes back what the caller knows and the store may have lost. Where the
   * store holds something else, the store wins. Returns the binding that holds
   * for each entry, in order.
   */
  restore(entries: readonly KnownBinding[]): Promise<Binding[]>;

  /** How many live bindings each instance has. Costs the same however many there are. */
  counts(): Promise<ReadonlyMap<InstanceId, number>>;

  /** Live bindings, of one instance or of all, page by page, in no particular order. */
  list(query: BindingQuery): Promise<BindingPage>;

  /**
   * A value that stays the same as long as the store has lost nothing. Made when
   * it is missing; a change means that bindings may be gone.
   */
  marker(): Promise<string>;

  /** At most one listener; a second call replaces the first. */
  listen(listener: AffinityListener): void;

  close(): Promise<void>;
}

/** The store did not answer, or not in time. The operation may or may not have happened. */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable';
  readonly code = 'GW_AFFINITY_UNAVAILABLE';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/**
 * The store answered, but it has lost what it knew. Nothing was done: a claim now
 * would take for new whom it only has forgotten.
 */
export class StoreLost extends StoreUnavailable {
  override readonly name = 'StoreLost';
}

/**
 * Tells what is agreed about the instances of each pool. The data plane reads
 * views and reports what it saw; it never decides one.
 */
export interface Coordinator {
  view(pool: string): View;
  /** Calls back after every new view of the pool; returns the way to stop that. */
  onChange(pool: string, listener: (view: View) => void): () => void;
  /** Real traffic failed at the instance. Hastens its next probe and does nothing else. */
  suspect(pool: string, instance: InstanceId): void;
  /**
   * Looks at the instance afresh, because a binding names a life of it that the
   * view does not know. Resolves once a probe that began after this call has
   * ended, with whatever view then holds; never rejects.
   *
   * @param doubted the incarnation in the binding
   */
  refresh(pool: string, instance: InstanceId, doubted: string): Promise<View>;
}

/** What a pool's prober lets the coordinator ask for. */
export interface ProbeControl {
  /** Brings the instance's next probe forward. */
  hasten(instance: InstanceId): void;
  /** Tells whether a probe of the instance that begins from now on has passed. Never rejects. */
  probeNow(instance: InstanceId): Promise<boolean>;
}
