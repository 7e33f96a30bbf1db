import type { Mode, Moment } from './routing-state.ts';

/** The end of a lease that was never held. */
export const NO_LEASE: Moment = Object.freeze({
  mono: Number.NEGATIVE_INFINITY,
  wall: Number.NEGATIVE_INFINITY,
});

// The registration at the store runs by another clock; no two crystals differ by so much.
export const LEASE_SHARE = 0.95;

/** The end of a lease of `leaseMs` that was asked for at `sent`: the store cannot have begun to count before. */
export function leaseEndFrom({ mono, wall }: Moment, leaseMs: number): Moment {
  const lease = leaseMs * LEASE_SHARE;
  return { mono: mono + lease, wall: wall + lease };
}

/** Over as soon as either clock says so: one stands still while the machine is suspended, the other can be set. */
export function holds(end: Moment, mono: number, wall: number): boolean {
  return mono < end.mono && wall < end.wall;
}

/** Milliseconds until a lease ends; 0 where it has. */
export function remaining(end: Moment, now: Moment): number {
  return Math.max(0, Math.min(end.mono - now.mono, end.wall - now.wall));
}

/** What may be done at a moment by whoever has a lease that ends at `end`. */
export function modeUnder(end: Moment, placesAlone: boolean, mono: number, wall: number): Mode {
  if (holds(end, mono, wall)) return 'leased';
  return placesAlone ? 'degraded' : 'waiting';
}
