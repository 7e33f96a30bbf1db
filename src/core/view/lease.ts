import type { Mode, Moment, RoutingState } from './routing-state.ts';

/** The end of a lease that was never held. */
export const NO_LEASE: Moment = Object.freeze({
  mono: Number.NEGATIVE_INFINITY,
  wall: Number.NEGATIVE_INFINITY,
});

// The replica ends its lease early, because the store measures the registration by another clock. Clock rates differ
// by far less than this share.
export const LEASE_SHARE = 0.95;

/** The end of a lease of `leaseMs` requested at `sent`. The store cannot have started to count earlier. */
export function leaseEndFrom({ mono, wall }: Moment, leaseMs: number): Moment {
  const lease = leaseMs * LEASE_SHARE;
  return { mono: mono + lease, wall: wall + lease };
}

/**
 * The lease is over as soon as either clock says so: one stops while the machine is suspended, the other can be set.
 */
export function holds(end: Moment, mono: number, wall: number): boolean {
  return mono < end.mono && wall < end.wall;
}

/** Milliseconds until a lease ends; 0 if it has ended. */
export function remaining(end: Moment, now: Moment): number {
  return Math.max(0, Math.min(end.mono - now.mono, end.wall - now.wall));
}

/** Base of the two routing states: a replica's own, and a worker's copy. */
export abstract class LeaseHolder {
  abstract readonly leaseEnd: Moment;
  /** {@link RoutingState.placesAlone} */
  abstract readonly placesAlone: boolean;

  /** {@link RoutingState.modeAt} */
  modeAt(mono: number, wall: number): Mode {
    if (holds(this.leaseEnd, mono, wall)) return 'leased';
    return this.placesAlone ? 'degraded' : 'waiting';
  }
}
