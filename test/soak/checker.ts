import type { Arrival, Move, Whereabouts } from '../support/arrivals.ts';
import { whereaboutsIn } from '../support/arrivals.ts';
import type { Happened } from './windows.ts';
import { AFTER_MS, overOf } from './windows.ts';

/** What clients saw of a request. Times are on the clock of `performance.now()`. */
export interface Asked {
  readonly begunAt: number;
  /** When the client was told the answer, or the failure; infinite if it gave up by itself. */
  readonly endedAt: number;
  /** An instance answered it. */
  readonly isAnswered: boolean;
}

export interface Known {
  readonly requests: ReadonlyMap<string, Asked>;
  readonly faults: readonly Happened[];
  /** When each agent has logged off, as an instance confirmed. */
  readonly loggedOff: ReadonlyMap<string, readonly number[]>;
  /** How long a binding lives after that. */
  readonly graceMs: number;
  /** The agent works at a failover pool, of which all agents move together. */
  isOfFailover(agent: string): boolean;
  /** A proxy stands for the network, and delivers after a cut what it had received. */
  readonly hasProxy: boolean;
}

export interface Checked {
  readonly deliveries: number;
  readonly splits: readonly Move[];
  readonly moved: number;
  readonly repeated: readonly string[];
  /** Late at or through a process that was stopped or killed, which no gateway can prevent. */
  readonly lateAsDocumented: number;
  readonly late: readonly Arrival[];
  /** Answers of instances that have no record of the request: the check itself has failed. */
  readonly unrecorded: readonly string[];
}

/** Judges by what arrived at the instances, and not by what gateways say. */
export function check(arrivals: readonly Arrival[], known: Known): Checked {
  const { requests } = known;
  const firstAt = new Map<string, number>();
  for (const { incarnation, at } of arrivals)
    if (at < (firstAt.get(incarnation) ?? Number.POSITIVE_INFINITY)) firstAt.set(incarnation, at);
  const found: Whereabouts = whereaboutsIn(arrivals, {
    request: (id) => requests.get(id),
    mayLeave: (left, at) => mayLeave(left, at, firstAt.get(left.incarnation) ?? left.at, known),
  });
  const ids = new Set(arrivals.map(({ id }) => id));
  const late = found.late.filter((arrival) => !isLateAsDocumented(arrival, known));
  return {
    deliveries: arrivals.length,
    splits: found.splits,
    moved: found.moved.size,
    repeated: found.repeated,
    lateAsDocumented: found.late.length - late.length,
    late,
    unrecorded: [...requests].flatMap(([id, { isAnswered }]) => (isAnswered && !ids.has(id) ? [id] : [])),
  };
}

/**
 * An agent may leave an incarnation that has ended, at any time. If the instance goes on with its memory, only until all
 * gateways know that it is back; of a failover pool, all agents who were there until then may leave, each with the next request.
 * An agent who has logged off may be placed anywhere.
 *
 * @param firstAt when the first request came to the incarnation that was left
 */
function mayLeave(
  left: Arrival,
  at: number,
  firstAt: number,
  { faults, loggedOff, graceMs, isOfFailover }: Known,
): boolean {
  const isLost = faults.some((fault) => {
    const { kind, instance, from } = fault;
    if (kind.bereaves !== true || instance !== left.instance || at < from || firstAt > from) return false;
    const known = overOf(fault, faults) + AFTER_MS;
    return kind.forgets === true || (isOfFailover(left.agent) ? left.at : at) <= known;
  });
  return isLost || (loggedOff.get(left.agent)?.some((off) => off >= left.at && off + graceMs <= at) ?? false);
}

function isLateAsDocumented(arrival: Arrival, { faults, requests, hasProxy }: Known): boolean {
  const begunAt = requests.get(arrival.id)?.begunAt ?? arrival.at;
  return faults.some(({ kind, instance, from, to = Number.POSITIVE_INFINITY }) => {
    if (from > arrival.at || to + AFTER_MS < begunAt) return false;
    if (kind.late === 'anywhere' || (hasProxy && kind.cuts === true)) return true;
    return kind.late === 'there' && instance === arrival.instance;
  });
}
