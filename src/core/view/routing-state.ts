import type { InstanceId, InstanceState } from '../instance.ts';
import type { View } from './view.ts';

/**
 * What a replica may do with its view.
 *
 * `leased`: act on it. `waiting`: nothing, until the view store has answered. `degraded`: the store is away and the
 * pool is configured to continue, so act on what was last known and on this replica's own probes.
 */
export type Mode = 'leased' | 'waiting' | 'degraded';

/** A moment on two clocks: one that never jumps, and one that runs on while the machine is suspended. */
export interface Moment {
  /** Monotonic milliseconds. */
  readonly mono: number;
  /** Milliseconds since the Unix epoch, by this machine's clock. */
  readonly wall: number;
}

/** What requests are routed by. The object stays the same as long as the pool exists; its content changes. */
export interface RoutingState {
  /** The newest view. Until it is in effect, {@link before} must allow the same. */
  readonly view: View;
  /** Set while {@link view} waits for acknowledgements: the view still in effect. */
  readonly before: View | undefined;
  /** This replica does not know any view that is in effect. */
  readonly isBlocked: boolean;
  /** The fencing token for claims and moves; `''` while none may be made. */
  readonly fencingToken: string;
  /** Instances that this replica cannot reach although the view says they are up. */
  readonly unreachable: ReadonlySet<InstanceId>;
  /** The assignable instances of the view that this replica can reach. */
  readonly candidates: readonly InstanceState[];
  /**
   * The {@link unreachable} instances that the peers still reach, after they had time enough to find the same
   * failure.
   */
  readonly cutOff: ReadonlySet<InstanceId>;
  /** Instances whose last probe by this replica failed, whatever its verdict. */
  readonly failing: ReadonlySet<InstanceId>;
  /**
   * The addresses of the peers that can relay a request to an instance, as long as the view is agreed. Missing while this
   * replica {@link placesAlone}, as others that reach the store may place the same agents elsewhere, and in messages from
   * an earlier release.
   */
  readonly relays?: ReadonlyMap<InstanceId, readonly string[]> | undefined;
  /** Until when the view may be acted on; negative infinity without a lease. */
  readonly leaseEnd: Moment;
  /** Instances of the view that this replica's configuration does not name. It cannot send anything to them. */
  readonly unconfigured: ReadonlySet<InstanceId>;
  /**
   * This gateway's configuration differs from the agreed one, so that it cannot serve all agents. A load balancer
   * should prefer the others. Missing in messages from an earlier release.
   */
  readonly isDrifted?: boolean;
  /**
   * Why claims fail here although the view store answers. The other gateways may still claim, so this one places no
   * agents by itself, and a load balancer should prefer the others. Missing in messages from an earlier release.
   */
  readonly claimFailure?: string | undefined;
  /**
   * The store is away, and this replica places unknown agents by itself. `alone` in names means this: without the
   * store, in mode `degraded`; logs and /status call it `storeless`.
   */
  readonly placesAlone: boolean;
  /**
   * The store that counts as away has answered again, so other gateways may claim agents. New agents wait until this
   * replica may claim too.
   */
  readonly hearsStore: boolean;
  /**
   * The store does not answer at the moment, but the view is agreed. A new agent need not wait for {@link
   * placesAlone} if every replica would place the agent on the same instance.
   */
  readonly placesAlike: boolean;
  /**
   * @param mono monotonic milliseconds
   * @param wall milliseconds since the Unix epoch, by this machine's clock
   */
  modeAt(mono: number, wall: number): Mode;
}
