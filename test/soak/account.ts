import type { AgentEvent } from '../../src/simulator/agent-stats.ts';
import { Histogram } from '../../src/simulator/histogram.ts';
import type { Happened } from './windows.ts';
import { blamed, causeOf, lossOf, NO_FAULT } from './windows.ts';

/** What agents lost by faults of one kind, or of two kinds at once. */
export interface Loss {
  /** Requests that a gateway answered itself, and those without a whole answer. */
  refused: number;
  broken: number;
  /** Answered, but later than {@link SLOW_MS}. */
  slow: number;
  /** Agents that had to log on again. */
  relogons: number;
  lostMs: number;
  slowestMs: number;
  readonly failures: Map<string, number>;
}

export interface Slow {
  readonly agent: string;
  readonly method: string;
  readonly begunAt: number;
  readonly tookMs: number;
  readonly cause: string;
}

/** A person notices an answer that takes longer. */
export const SLOW_MS = 1_000;
const MOST_SLOWEST = 8;
const MOST_EXAMPLES = 10;

interface Trouble {
  readonly since: number;
  readonly cause: string;
  /** Only a log-on ends it. */
  untilLogon: boolean;
}

/**
 * Availability as agents see it. The time of an agent is lost from the begin of a request that fails until the agent is
 * served again, from the begin of a request that shows the loss of the session until the agent is logged on again, and while
 * an answer is slow.
 */
export class Account {
  readonly losses = new Map<string, Loss>();
  /** Of all answered requests, and of those to which no fault came near. */
  readonly latency = new Histogram();
  readonly calmLatency = new Histogram();
  /** What failed without a fault, in words, the first few. */
  readonly unexplained: string[] = [];
  requests = 0;
  answered = 0;
  #openSince = Number.POSITIVE_INFINITY;
  #isClosed = false;
  readonly #faults: readonly Happened[];
  readonly #troubles = new Map<string, Trouble>();
  readonly #loggedOn = new Set<string>();
  /** The begin of the latest ended request of each agent, and its end. */
  readonly #latest = new Map<string, { readonly begunAt: number; readonly endedAt: number }>();
  #slowest: Slow[] = [];

  /** @param faults those that came so far; the list grows */
  constructor(faults: readonly Happened[]) {
    this.#faults = faults;
  }

  take(event: AgentEvent, now: number): void {
    if (this.#isClosed) return;
    if (event.type === 'request') this.#ended(event);
    else if (event.type === 'told') this.#told(event, now);
    else if (event.type === 'logon') {
      this.#loggedOn.add(event.agent);
      this.#recovered(event.agent, now);
    } else if (event.type === 'logoff') {
      this.#loggedOn.delete(event.agent);
      this.#recovered(event.agent, now);
    }
  }

  /** From now on answers are timed. Before, only what fails counts: everyone logs on at once. */
  open(now: number): void {
    this.#openSince = now;
  }

  /** The agent went home, and needs no service any more. */
  gone(agent: string, now: number): void {
    this.#loggedOn.delete(agent);
    this.#recovered(agent, now);
  }

  get slowest(): readonly Slow[] {
    return this.#slowest;
  }

  get lostMs(): number {
    return [...this.losses.values()].reduce((sum, { lostMs }) => sum + lostMs, 0);
  }

  /** Ends the account. Tells the agents who were not served again since before this time, and counts what they lost until now. */
  close(now: number, before: number): string[] {
    this.#isClosed = true;
    const stranded = [...this.#troubles].filter(([, { since }]) => since < before).map(([agent]) => agent);
    for (const agent of [...this.#troubles.keys()]) this.#recovered(agent, now);
    return stranded;
  }

  #ended({ agent, method, begunAt, endedAt, by, failure }: Extract<AgentEvent, { type: 'request' }>): void {
    this.requests += 1;
    this.#latest.set(agent, { begunAt, endedAt });
    const faults = blamed(this.#faults, begunAt, endedAt);
    const cause = causeOf(faults);
    const tookMs = endedAt - begunAt;
    if (by === undefined) {
      const loss = this.#lossBy(cause);
      if (failure?.startsWith('GW_') === true) loss.refused += 1;
      else loss.broken += 1;
      loss.failures.set(failure ?? '', (loss.failures.get(failure ?? '') ?? 0) + 1);
      if (cause === NO_FAULT) this.#unexplained(`${agent} ${method}: ${failure}`, begunAt);
      this.#lost(agent, begunAt, cause, !this.#loggedOn.has(agent));
      return;
    }
    this.answered += 1;
    if (begunAt < this.#openSince) {
      this.#recovered(agent, endedAt);
      return;
    }
    this.latency.record(tookMs);
    if (cause === NO_FAULT) this.calmLatency.record(tookMs);
    this.#slowest = [...this.#slowest, { agent, method, begunAt, tookMs, cause }]
      .toSorted((a, b) => b.tookMs - a.tookMs)
      .slice(0, MOST_SLOWEST);
    const loss = cause === NO_FAULT && tookMs <= SLOW_MS ? undefined : this.#lossBy(cause);
    if (loss !== undefined) loss.slowestMs = Math.max(loss.slowestMs, tookMs);
    const trouble = this.#troubles.get(agent);
    if (trouble !== undefined && !trouble.untilLogon && begunAt >= trouble.since) {
      this.#recovered(agent, endedAt);
    } else if (trouble === undefined && tookMs > SLOW_MS && loss !== undefined) {
      loss.slow += 1;
      loss.lostMs += tookMs;
    }
  }

  /** Follows the request whose answer said so. */
  #told({ agent, from }: Extract<AgentEvent, { type: 'told' }>, now: number): void {
    const { begunAt, endedAt } = this.#latest.get(agent) ?? { begunAt: now, endedAt: now };
    if (!this.#loggedOn.has(agent)) {
      // Two of its requests told, or its instance was lost during the log-on.
      this.#lost(agent, begunAt, causeOf(blamed(this.#faults, begunAt, endedAt)), true);
      return;
    }
    const lost = from && lossOf(this.#faults, from.connector, now);
    const cause = causeOf(lost === undefined ? blamed(this.#faults, begunAt, endedAt) : [lost]);
    this.#loggedOn.delete(agent);
    this.#lossBy(cause).relogons += 1;
    if (cause === NO_FAULT) this.#unexplained(`${agent} had to log on again`, begunAt);
    this.#lost(agent, begunAt, cause, true);
  }

  #lost(agent: string, since: number, cause: string, untilLogon: boolean): void {
    const trouble = this.#troubles.get(agent);
    if (trouble === undefined) this.#troubles.set(agent, { since, cause, untilLogon });
    else trouble.untilLogon ||= untilLogon;
  }

  #recovered(agent: string, at: number): void {
    const trouble = this.#troubles.get(agent);
    if (trouble === undefined) return;
    this.#troubles.delete(agent);
    this.#lossBy(trouble.cause).lostMs += at - trouble.since;
  }

  #unexplained(what: string, at: number): void {
    if (this.unexplained.length < MOST_EXAMPLES) this.unexplained.push(`${what}, begun at ${clock(at)}`);
  }

  #lossBy(cause: string): Loss {
    const known = this.losses.get(cause);
    if (known !== undefined) return known;
    const loss: Loss = {
      ...{ refused: 0, broken: 0, slow: 0, relogons: 0, lostMs: 0, slowestMs: 0 },
      failures: new Map(),
    };
    this.losses.set(cause, loss);
    return loss;
  }
}

/** The time of day of a moment on the clock of `performance.now()`. */
export function clock(at: number): string {
  return new Date(performance.timeOrigin + at).toISOString().slice(11, 23);
}
