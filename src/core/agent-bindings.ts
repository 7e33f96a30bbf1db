import type { Binding, Placement, Proposal } from './binding.ts';
import type { Name, Names, RequestName } from './identity.ts';
import type { InstanceId } from './instance.ts';
import type { Rebalance } from './rebalance.ts';
import type { RoutingState } from './view/routing-state.ts';

/** A binding as this process last saw it, shared by all its names. Times are monotonic milliseconds. */
export interface CachedBinding {
  /** The key of its root, in stored form. */
  readonly key: string;
  binding: Binding;
  /** The names known to lead to it, in stored form, its root first. */
  readonly names: readonly Name[];
  /** When the store last confirmed it, by an answer or a message; minus infinity if the store must be asked. */
  checkedAt: number;
  /** The earliest time at which its lifetime in the store was last restarted. */
  renewedAt: number;
  /** When it was last acted on without the store. */
  usedAt: number;
  /** The epoch in which the store confirmed it; 0 if it never did. */
  epoch: number;
  /** A background renewal is under way, so that no second one starts. */
  renewing: boolean;
  /** A name of it is on probation at the store: its next use must renew it. */
  isNew: boolean;
  /** The agent has logged off, and no request has restarted the lifetime since, as far as this process knows. */
  isEnding: boolean;
}

/** One request of an agent, while it is on its way to an instance. */
export interface Visit extends Placement {
  /** The key of the root, in stored form. */
  readonly key: string;
  /** Which of the agent's groups of overlapping requests it belongs to. */
  readonly group: number;
  /** It is the first one after a log-off a moment ago, as far as this process knows. */
  readonly followsLogOff: boolean;
}

/** How a request came by its binding; the `decision` of logs and metrics. */
export type Decision = 'bound' | 'claimed' | 'rebound' | 'storeless';

export interface Bound {
  readonly binding: Binding;
  readonly decision: Decision;
  /** The instance of another name in the request that was only found in its body, and may be another agent's. */
  readonly passedOver?: InstanceId | undefined;
}

/** The requests of agents that are under way, and those with which agents log off. */
export interface AgentLogOffs {
  /** Notes that a request begins that is bound there. To be followed by {@link end}. */
  begin(
    target: Placement & { readonly root?: Name | undefined; readonly entry?: CachedBinding | undefined },
  ): Visit | undefined;
  end(visit: Visit): void;
  /**
   * The instance has answered this request, with which its agent logs off: the binding ends after `graceMs`, unless a
   * later request of the agent comes. Never rejects.
   */
  logOff(visit: Visit, graceMs: number): Promise<void>;
}

/**
 * The bindings of one pool as the proxy uses them: a cache in front of the store, and a way to go on while the store is
 * away. The caller decides by the agreed view which of the two holds.
 */
export interface AgentBindings {
  /** All bindings are known here, and none was missed or evicted: a name that is not known here is new. */
  readonly isComplete: boolean;
  /** Where most of the group's members are that are known here, of those whose bindings hold. */
  placeOf(group: string, holds: (binding: Binding) => boolean): InstanceId | undefined;
  /** May the store still carry out a claim or move of one of these names that timed out? */
  awaitsAnswer(names: readonly Name[]): boolean;
  /** What is known of a request's names here, without the store. */
  findFor(names: Names): CachedBinding | undefined;
  get(name: Name): CachedBinding | undefined;
  /**
   * May the cached binding be acted on without asking the store?
   *
   * @param isDegraded the caller acts without the store, so the cache is the best source
   */
  isTrusted(entry: CachedBinding, state: Pick<RoutingState, 'view'>, isDegraded: boolean): boolean;
  /** Is it the best information while the store does not answer, although a message may have been missed? */
  isUsableUnconfirmed(entry: CachedBinding, state: Pick<RoutingState, 'view'>): boolean;
  readonly logOffs: AgentLogOffs;
  /** Makes the next request of this agent ask the store. */
  invalidate(entry: CachedBinding): void;
  /** Learns the binding that holds for the names, or makes `proposal` that binding. */
  claim(
    names: readonly RequestName[],
    proposal: Proposal,
    fencingToken: string,
    leaves?: readonly InstanceId[],
    rebalance?: Rebalance,
  ): Promise<Bound>;
  /** Moves the binding, unless another gateway has already; returns the one that holds. */
  rebind(names: readonly Name[], expected: Binding, proposal: Proposal, fencingToken: string): Promise<Bound>;
  /** Learns the binding that holds for the names, if there is one. Makes none. */
  lookup(names: readonly RequestName[]): Promise<Binding | undefined>;
  /** {@link claim} without the store: known agents stay, unknown ones are placed. */
  claimAlone(names: readonly RequestName[], placement: Placement): Bound;
  /** {@link rebind} without the store. */
  moveAlone(names: readonly Name[], expected: Binding, placement: Placement): Bound;
}
