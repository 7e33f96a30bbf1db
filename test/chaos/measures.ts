import type { AnsweredBy } from '../../src/simulator/split-detector.ts';
import { histogramOf } from '../support/histogram-of.ts';

/** A request that has ended, in whatever way. Times are on the clock of `performance.now()`. */
export interface EndedRequest {
  readonly agent: string;
  readonly id: string;
  readonly begunAt: number;
  readonly endedAt: number;
  /** Which instance answered it; `undefined` where none did. */
  readonly by: AnsweredBy | undefined;
  /** The gateway's code, or what became of the connection, where no instance answered. */
  readonly failure: string | undefined;
}

/** A fault's time, on the clock of `performance.now()`. */
export interface FaultTimes {
  /** Right before it was brought about. */
  readonly from: number;
  /** Right after: what was begun later, met it. */
  readonly done: number;
  /** When the agreed view had left the instance: who had sent nothing until then has met nothing. */
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
  /** What was said of the failed, and how often. */
  readonly failures: Readonly<Record<string, number>>;
  /** Agents whom the fault entitled to another instance. */
  readonly bereft: number;
  /** Of those, the ones who were answered by another one. */
  readonly moved: number;
  /** Agents who were answered by another instance although theirs was fine. */
  readonly movedInVain: number;
  /**
   * From the fault until the last agent was answered again who had to wait for another instance, or met a failure.
   * `undefined`: nobody had to.
   */
  readonly recoveryMs: number | undefined;
  /** Of those, the ones who were not answered again. */
  readonly lost: number;
  /** The longest that a request took which was answered. */
  readonly slowestMs: number;
  /** What 99 in 100 of those stayed below. */
  readonly p99Ms: number;
}

/**
 * What the agents of one pool saw of a fault.
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

/** Where each agent was answered last before this moment. */
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
 * The first answer to the agent after the fault and his last failure: to a
 * request that he began since, or to one that was waiting and was answered by
 * another instance, or by another life of his own.
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
