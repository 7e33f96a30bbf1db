import type { AnsweredBy } from '../../src/simulator/split-detector.ts';
import { histogramOf } from '../support/histogram-of.ts';

/** A request that has ended. Times are on the clock of `performance.now()`. */
export interface EndedRequest {
  readonly agent: string;
  readonly id: string;
  readonly begunAt: number;
  readonly endedAt: number;
  /** The instance that answered it; `undefined` if none did. */
  readonly by: AnsweredBy | undefined;
  /** The gateway's code or the error of the connection, if no instance answered. */
  readonly failure: string | undefined;
}

/** A fault's time, on the clock of `performance.now()`. */
export interface FaultTimes {
  /** Right before it was caused. */
  readonly from: number;
  /** Right after: requests that began later met it. */
  readonly done: number;
  /** When the agreed view had left the instance: agents without a request until then have not met the fault. */
  readonly left?: number | undefined;
}

export interface Measures {
  /** Requests that were under way when the fault came, or begun later. */
  readonly requests: number;
  /** Of those, the ones that no instance answered. */
  readonly failed: number;
  /** Of the failed, the ones that a gateway answered. */
  readonly refused: number;
  /** Of the failed, the ones that were under way when the fault came. */
  readonly underWay: number;
  /** The errors of the failed requests, with their numbers. */
  readonly failures: Readonly<Record<string, number>>;
  /** Agents that may be moved because of the fault. */
  readonly bereft: number;
  /** Of those, the ones that another instance answered. */
  readonly moved: number;
  /** Agents that another instance answered although theirs was up. */
  readonly movedInVain: number;
  /**
   * From the fault until the last agent was answered again that had to wait for another instance or met a failure.
   * `undefined` if there was none.
   */
  readonly recoveryMs: number | undefined;
  /** Of those, the ones who were not answered again. */
  readonly lost: number;
  /** The longest time of an answered request. */
  readonly slowestMs: number;
  /** The 99th percentile of these times. */
  readonly p99Ms: number;
}

/**
 * The effects of a fault on the agents of one pool.
 *
 * @param requests all that have ended, in any order
 * @param victim the instance whose agents may be moved, if any
 */
export function measure(
  requests: readonly EndedRequest[],
  { from, done, left = Number.POSITIVE_INFINITY }: FaultTimes,
  victim: string | undefined,
): Measures {
  const homes = homesAt(requests, from);
  const affected = requests.filter(({ endedAt }) => endedAt >= from);
  const failed = affected.filter(({ failure }) => failure !== undefined);
  const isBereft = (agent: string): boolean => victim !== undefined && homes.get(agent)?.connector === victim;

  const strangers = new Set<string>();
  for (const { agent, by } of affected) {
    const home = homes.get(agent);
    if (home !== undefined && by !== undefined && by.connector !== home.connector) strangers.add(agent);
  }
  const failures: Record<string, number> = {};
  for (const { failure = '' } of failed) failures[failure] = (failures[failure] ?? 0) + 1;

  const hurt = new Set(failed.map(({ agent }) => agent));
  for (const agent of homes.keys()) if (isBereft(agent)) hurt.add(agent);
  const again = [...hurt].map((agent) => servedAgain(affected, agent, homes.get(agent), from));
  const back = again.filter((answer) => answer !== undefined);
  const hindered = back.filter(({ hasFailed, begunAt }) => hasFailed || begunAt <= left);
  const times = histogramOf(
    affected.flatMap(({ by, begunAt, endedAt }) => (by === undefined ? [] : [endedAt - begunAt])),
  );
  return {
    requests: affected.length,
    failed: failed.length,
    refused: failed.filter(({ failure }) => failure?.startsWith('GW_')).length,
    underWay: failed.filter(({ begunAt }) => begunAt <= done).length,
    failures,
    bereft: [...homes.keys()].filter(isBereft).length,
    moved: [...strangers].filter(isBereft).length,
    movedInVain: [...strangers].filter((agent) => !isBereft(agent)).length,
    recoveryMs:
      hindered.length === 0 ? undefined : Math.max(...hindered.map((processes) => processes.endedAt)) - from,
    lost: again.length - back.length,
    slowestMs: times.summary().maxMs,
    p99Ms: times.quantile(0.99),
  };
}

/** The instance that last answered each agent before this moment. */
function homesAt(requests: readonly EndedRequest[], moment: number): Map<string, AnsweredBy> {
  const latest = new Map<string, { by: AnsweredBy; endedAt: number }>();
  for (const { agent, by, endedAt } of requests) {
    if (by === undefined || endedAt >= moment) continue;
    if (endedAt > (latest.get(agent)?.endedAt ?? Number.NEGATIVE_INFINITY))
      latest.set(agent, { by, endedAt });
  }
  return new Map([...latest].map(([agent, { by }]) => [agent, by]));
}

interface ServedAgain {
  readonly begunAt: number;
  readonly endedAt: number;
  readonly hasFailed: boolean;
}

/**
 * The first answer to the agent after the fault and after its last failure: to a
 * request that began later, or to a waiting one that was answered by
 * another instance, or by another incarnation of its own.
 */
function servedAgain(
  requests: readonly EndedRequest[],
  agent: string,
  home: AnsweredBy | undefined,
  from: number,
): ServedAgain | undefined {
  const own = requests.filter((request) => request.agent === agent);
  const failures = own.filter(({ failure }) => failure !== undefined);
  const since = failures.reduce((latest, { endedAt }) => Math.max(latest, endedAt), from);
  let first: ServedAgain | undefined;
  for (const { by, begunAt, endedAt } of own) {
    if (by === undefined || endedAt < since || endedAt >= (first?.endedAt ?? Number.POSITIVE_INFINITY)) {
      continue;
    }
    const isElsewhere = by.connector !== home?.connector || by.incarnation !== home.incarnation;
    if (begunAt >= since || isElsewhere) first = { begunAt, endedAt, hasFailed: failures.length > 0 };
  }
  return first;
}
