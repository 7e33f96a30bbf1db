import type { InstanceId, InstanceState } from '../instance.ts';
import { modeUnder, NO_LEASE } from './lease.ts';
import type { Replica } from './replica.ts';
import type { Mode, Moment, RoutingState } from './routing-state.ts';
import type { View } from './view.ts';
import { makeView } from './view.ts';

/**
 * A routing state at one moment, for a process other than the one that takes part in the agreement. It can be cloned,
 * and says when it ends and by which clock.
 */
export interface RoutingStateSnapshot extends Omit<RoutingState, 'unconfigured' | 'modeAt' | 'fencingToken'> {
  /** {@link RoutingState.fencingToken}, under the name that processes of earlier releases send and read. */
  readonly fence: string;
  /** The id of the newest view; the other process confirms its adoption by it. */
  readonly viewId: string;
  /** By the monotonic clock that all processes of the host share, and by the wall clock. */
  readonly leaseEnd: Moment;
  /** The epoch of the newest agreed view, even if another view is acted on. */
  readonly agreedEpoch: number;
}

/** What another process needs to act for the replica. The lease is on this process's monotonic clock. */
export function snapshotOf(replica: Replica): RoutingStateSnapshot {
  const { view, before, isBlocked, fencingToken, unreachable, candidates, cutOff, failing, isDrifted } =
    replica;
  const { claimFailure, placesAlone, hearsStore, placesAlike, leaseEnd, agreed, actedOn } = replica;
  return {
    viewId: actedOn,
    view,
    before,
    isBlocked,
    fence: fencingToken,
    unreachable,
    candidates,
    cutOff,
    failing,
    isDrifted,
    claimFailure,
    placesAlone,
    hearsStore,
    placesAlike,
    leaseEnd,
    agreedEpoch: agreed.epoch,
  };
}

const NO_INSTANCES: ReadonlySet<InstanceId> = new Set();

/**
 * The routing state that a worker acts on: the last one it received. The worker checks the lease by its own clock, so
 * it notices the end of the lease without a message.
 */
export class RoutingStateCopy implements RoutingState {
  readonly #offsetMs: number;
  readonly #knows: (instance: InstanceId) => boolean;
  #received: RoutingStateSnapshot;
  #view: View;
  #unconfigured: ReadonlySet<InstanceId> = NO_INSTANCES;
  #candidates: readonly InstanceState[] = [];
  #leaseEnd = NO_LEASE;

  /**
   * @param offsetMs how far this process's monotonic clock lags behind the host's
   * @param knows can this process send requests to the instance?
   */
  constructor(
    { pool, mode }: Pick<View, 'pool' | 'mode'>,
    offsetMs: number,
    knows: (instance: InstanceId) => boolean,
  ) {
    this.#offsetMs = offsetMs;
    this.#knows = knows;
    this.#view = makeView({
      pool,
      mode,
      epoch: 0,
      settled: false,
      instances: [],
      active: '',
      moving: new Map(),
    });
    this.#received = {
      viewId: '',
      view: this.#view,
      before: undefined,
      isBlocked: true,
      fence: '',
      unreachable: NO_INSTANCES,
      candidates: [],
      cutOff: NO_INSTANCES,
      failing: NO_INSTANCES,
      placesAlone: false,
      hearsStore: false,
      placesAlike: false,
      leaseEnd: NO_LEASE,
      agreedEpoch: 0,
    };
  }

  /** Returns true if anything but the end of the lease has changed. */
  apply(received: RoutingStateSnapshot, mono: number, wall: number): boolean {
    const was = this.#received;
    const before = [this.modeAt(mono, wall), was.viewId, ...facets(was, was.fence)].join();
    // Keeps the same object while its content is the same, so that readers can compare by identity.
    const { epoch, fit } = this.#view;
    if (received.viewId !== was.viewId || received.view.epoch !== epoch || received.view.fit !== fit)
      this.#view = received.view;
    this.#received = { ...received, view: this.#view };
    const { mono: end, wall: wallEnd } = received.leaseEnd;
    this.#leaseEnd = { mono: end - this.#offsetMs, wall: wallEnd };
    this.#unconfigured = new Set([...this.#view.instances.keys()].filter((id) => !this.#knows(id)));
    this.#candidates = received.candidates.filter(({ id }) => !this.#unconfigured.has(id));
    return (
      before !== [this.modeAt(mono, wall), received.viewId, ...facets(this.#received, received.fence)].join()
    );
  }

  /** A process that stood still does not know what it missed. */
  dropLease(): void {
    this.#leaseEnd = NO_LEASE;
  }

  get viewId(): string {
    return this.#received.viewId;
  }

  get agreedEpoch(): number {
    return this.#received.agreedEpoch;
  }

  get view(): View {
    return this.#view;
  }

  get before(): View | undefined {
    return this.#received.before;
  }

  get isBlocked(): boolean {
    return this.#received.isBlocked;
  }

  get fencingToken(): string {
    return this.#received.fence;
  }

  get unreachable(): ReadonlySet<InstanceId> {
    return this.#received.unreachable;
  }

  get candidates(): readonly InstanceState[] {
    return this.#candidates;
  }

  get isDrifted(): boolean {
    return this.#received.isDrifted === true;
  }

  get claimFailure(): string | undefined {
    return this.#received.claimFailure;
  }

  get cutOff(): ReadonlySet<InstanceId> {
    return this.#received.cutOff;
  }

  get failing(): ReadonlySet<InstanceId> {
    return this.#received.failing;
  }

  get leaseEnd(): Moment {
    return this.#leaseEnd;
  }

  /** This worker's own set: during a reload a worker still knows instances that the controller has dropped. */
  get unconfigured(): ReadonlySet<InstanceId> {
    return this.#unconfigured;
  }

  get placesAlone(): boolean {
    return this.#received.placesAlone;
  }

  get hearsStore(): boolean {
    return this.#received.hearsStore;
  }

  get placesAlike(): boolean {
    return this.#received.placesAlike;
  }

  modeAt(mono: number, wall: number): Mode {
    return modeUnder(this.#leaseEnd, this.#received.placesAlone, mono, wall);
  }
}

/** Everything but the lease that a waiting request may be waiting for. */
export function facets(
  routingState: Omit<RoutingState, 'unconfigured' | 'modeAt' | 'fencingToken'>,
  fencingToken: string,
): readonly unknown[] {
  const ids = (some: Iterable<InstanceId>): string => [...some].join('|');
  return [
    routingState.view.epoch,
    routingState.view.fit,
    routingState.isBlocked,
    routingState.before?.epoch,
    fencingToken,
    routingState.placesAlone,
    routingState.hearsStore,
    routingState.placesAlike,
    routingState.claimFailure === undefined,
    ids(routingState.unreachable),
    ids(routingState.cutOff),
    ids(routingState.candidates.map(({ id }) => id)),
  ];
}
