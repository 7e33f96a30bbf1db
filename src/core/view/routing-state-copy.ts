import type { InstanceId, InstanceState } from '../instance.ts';
import { LeaseHolder, NO_LEASE } from './lease.ts';
import type { Replica } from './replica.ts';
import type { Moment, RoutingState } from './routing-state.ts';
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
  const { view, before, isBlocked, fencingToken, unreachable, candidates, cutOff, failing, relays } = replica;
  const { isDrifted } = replica;
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
    relays,
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
 * it notices the end of the lease without a message. Every request reads it, so it has plain fields.
 */
export class RoutingStateCopy extends LeaseHolder implements RoutingState {
  readonly #offsetMs: number;
  readonly #knows: (instance: InstanceId) => boolean;
  viewId = '';
  agreedEpoch = 0;
  view: View;
  before: View | undefined = undefined;
  isBlocked = true;
  fencingToken = '';
  unreachable = NO_INSTANCES;
  candidates: readonly InstanceState[] = [];
  isDrifted = false;
  claimFailure: string | undefined = undefined;
  cutOff = NO_INSTANCES;
  failing = NO_INSTANCES;
  relays: RoutingState['relays'] = undefined;
  leaseEnd = NO_LEASE;
  /** This worker's own set: during a reload a worker still knows instances that the controller has dropped. */
  unconfigured = NO_INSTANCES;
  placesAlone = false;
  hearsStore = false;
  placesAlike = false;

  /**
   * @param offsetMs how far this process's monotonic clock lags behind the host's
   * @param knows can this process send requests to the instance?
   */
  constructor(
    { pool, mode }: Pick<View, 'pool' | 'mode'>,
    offsetMs: number,
    knows: (instance: InstanceId) => boolean,
  ) {
    super();
    this.#offsetMs = offsetMs;
    this.#knows = knows;
    this.view = makeView({
      pool,
      mode,
      epoch: 0,
      settled: false,
      instances: [],
      active: '',
      moving: new Map(),
    });
  }

  /** Returns true if anything but the end of the lease has changed. */
  apply(received: RoutingStateSnapshot, mono: number, wall: number): boolean {
    const before = this.#facets(mono, wall);
    // Keeps the same object while its content is the same, so that readers can compare by identity.
    const { epoch, fit } = this.view;
    if (received.viewId !== this.viewId || received.view.epoch !== epoch || received.view.fit !== fit)
      this.view = received.view;
    this.viewId = received.viewId;
    this.agreedEpoch = received.agreedEpoch;
    this.before = received.before;
    this.isBlocked = received.isBlocked;
    this.fencingToken = received.fence;
    this.unreachable = received.unreachable;
    this.isDrifted = received.isDrifted === true;
    this.claimFailure = received.claimFailure;
    this.cutOff = received.cutOff;
    this.failing = received.failing;
    this.relays = received.relays;
    this.placesAlone = received.placesAlone;
    this.hearsStore = received.hearsStore;
    this.placesAlike = received.placesAlike;
    const { mono: end, wall: wallEnd } = received.leaseEnd;
    this.leaseEnd = { mono: end - this.#offsetMs, wall: wallEnd };
    this.unconfigured = new Set([...this.view.instances.keys()].filter((id) => !this.#knows(id)));
    this.candidates = received.candidates.filter(({ id }) => !this.unconfigured.has(id));
    return before !== this.#facets(mono, wall);
  }

  /** A process that stood still does not know what it missed. */
  dropLease(): void {
    this.leaseEnd = NO_LEASE;
  }

  #facets(mono: number, wall: number): string {
    return [this.modeAt(mono, wall), this.viewId, ...facets(this, this.fencingToken)].join();
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
    [...(routingState.relays ?? [])].join('|'),
    ids(routingState.candidates.map(({ id }) => id)),
  ];
}
