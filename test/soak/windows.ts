import type { Kind } from './faults.ts';

/** A fault that was caused. Times are on the clock of `performance.now()`. */
export interface Happened {
  readonly kind: Kind;
  readonly title: string;
  /** The names of what it struck; only what the kind says was struck. */
  readonly gateway: string;
  readonly instance: string;
  readonly from: number;
  /** When it was over; missing while it lasts. */
  to?: number;
}

/** What comes of a fault shows up until so long after its end: leases, quarantine, and retransmitted packets run out. */
export const AFTER_MS = 10_000;

/** For what no fault explains. */
export const NO_FAULT = 'no fault';

/** The faults that may be to blame for what went on in this time. */
export function blamed(faults: readonly Happened[], from: number, to: number): Happened[] {
  return faults.filter(
    (fault) => fault.from <= to && (fault.to ?? Number.POSITIVE_INFINITY) + AFTER_MS >= from,
  );
}

/** Their kinds, as the key of a row. */
export function causeOf(faults: readonly Happened[]): string {
  const kinds = new Set(faults.map(({ kind }) => kind.name));
  return kinds.size === 0 ? NO_FAULT : [...kinds].toSorted().join(' + ');
}

/** The loss of an instance that made an agent log on again, however long ago: the latest one. */
export function lossOf(faults: readonly Happened[], instance: string, at: number): Happened | undefined {
  return faults.findLast(
    (fault) => fault.kind.bereaves === true && fault.instance === instance && fault.from <= at,
  );
}

/** When a fault and those beside it were over: the recovery from one may wait for the end of another. */
export function overOf(fault: Happened, faults: readonly Happened[]): number {
  const to = fault.to ?? Number.POSITIVE_INFINITY;
  return Math.max(
    to,
    ...faults
      .filter((other) => other.from <= to && (other.to ?? Number.POSITIVE_INFINITY) >= fault.from)
      .map((other) => other.to ?? Number.POSITIVE_INFINITY),
  );
}
