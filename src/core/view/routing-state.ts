import type { InstanceId, InstanceState } from '../instance.ts';
import type { View } from './view.ts';

/**
 * What a replica may do with its view.
 *
 * `leased`: act on it. `waiting`: nothing, until the ledger has answered.
 * `storeless`: the store is away, and the pool is told to go on: act on what
 * was known last and on what this replica sees itself.
 */
export type Mode = 'leased' | 'waiting' | 'degraded';

/** A moment on two clocks: one that never jumps, and one that goes on while the machine is suspended. */
export interface Moment {
  /** Monotonic milliseconds. */
  readonly mono: number;
  /** Milliseconds since the Unix epoch, by this machine's clock. */
  readonly wall: number;
}

/** What the data plane acts on. The object stays the same for the life of a pool; what it says changes. */
export interface RoutingState {
  /** The newest view. Where it has not taken effect, {@link before} must allow the same. */
  readonly view: View;
  /** Set while {@link view} waits for acknowledgements: the view that is still in effect. */
  readonly before: View | undefined;
  /** Nothing is in effect that this replica knows. */
  readonly isBlocked: boolean;
  /** What claims and moves must bear; `''` while none may be made. */
  readonly fencingToken: string;
  /** Instances that this replica alone cannot reach, though the view calls them up. */
  readonly unreachable: ReadonlySet<InstanceId>;
  /** Those of the view's assignable instances that this replica can reach. */
  readonly candidates: readonly InstanceState[];
  /** Those of {@link unreachable} for which the peers had time enough to come to the same conclusion, and did not. */
  readonly cutOff: ReadonlySet<InstanceId>;
  /** Instances at which the last probe of this replica failed, whatever its verdict. */
  readonly failing: ReadonlySet<InstanceId>;
  /** Until when the view may be acted on; negative infinity without a lease. */
  readonly leaseEnd: Moment;
  /** Instances of the view that this replica's configuration does not name: it cannot send anything there. */
  readonly unconfigured: ReadonlySet<InstanceId>;
  /**
   * This gateway's configuration is not the agreed one, in a way that keeps it from serving all agents: a balancer
   * should prefer the others. Missing in what an earlier release tells its workers.
   */
  readonly isDrifted?: boolean;
  /**
   * Claims fail here although the ledger answers, and why: the other gateways may still claim, so no agent is placed
   * alone, and a balancer should prefer them. Missing in what an earlier release tells its workers.
   */
  readonly claimFailure?: string | undefined;
  /** The store is away, and who is not known is to be placed by this replica alone. */
  readonly placesAlone: boolean;
  /**
   * The store that counts as away has answered, and others may claim agents at it: until this replica may do so too,
   * new agents wait.
   */
  readonly hearsStore: boolean;
  /**
   * The store does not answer at the moment, and what this replica knows is agreed: a new agent may be placed where
   * every replica places them alike, without waiting for {@link placesAlone}.
   */
  readonly placesAlike: boolean;
  /**
   * @param mono monotonic milliseconds
   * @param wall milliseconds since the Unix epoch, by this machine's clock
   */
  modeAt(mono: number, wall: number): Mode;
}
