import type { Latencies } from './histogram.ts';
import { Histogram } from './histogram.ts';
import type { AnsweredBy, Split } from './split-detector.ts';
import { SplitDetector } from './split-detector.ts';

/** The results of simulated agents so far. */
export interface AgentStats {
  readonly elapsedMs: number;
  /** Requests sent. Each ends as an answer, a fault or an error. */
  readonly requests: number;
  readonly answers: number;
  /** Answers and Faults of connectors, by connector. */
  readonly answersByConnector: Readonly<Record<string, number>>;
  /** Keyed by the gateway's code (`GW_…`), else by fault string. */
  readonly faults: Readonly<Record<string, number>>;
  /** Requests without a complete answer, by error code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Answers which prove that other bytes, or another user, arrived than were sent. */
  readonly corrupted: number;
  readonly logons: number;
  /** Logons because the connector no longer knew the agent. */
  readonly relogons: number;
  readonly logoffs: number;
  /** Logons during which two living connectors answered. */
  readonly splits: number;
  /** The first few splits, for the operator. */
  readonly splitExamples: readonly Split[];
  /** Moves to another connector that are neither proven splits nor explained by a Fault. */
  readonly undecidedMoves: number;
  readonly loggedOn: number;
  /** Agents that are logged on, by connector. */
  readonly agentsByConnector: Readonly<Record<string, number>>;
  /** The latency of answered requests, with or without a Fault. */
  readonly latency: Latencies;
}

export type AgentEvent =
  | {
      readonly type: 'request';
      readonly agent: string;
      readonly method: string;
      /** The id under which connectors count the deliveries of the request. */
      readonly id: string;
      /** Both on the clock of `performance.now()`. */
      readonly begunAt: number;
      readonly endedAt: number;
      /** The connector that answered, possibly with a Fault. */
      readonly by: AnsweredBy | undefined;
      /** Without an answer from a connector: the gateway's code, or the code of the error. */
      readonly failure: string | undefined;
    }
  | { readonly type: 'logon'; readonly agent: string; readonly at: AnsweredBy; readonly again: boolean }
  /** `answered`: the connector has confirmed work mode 1. */
  | { readonly type: 'logoff'; readonly agent: string; readonly answered: boolean }
  /** The connector at `at` does not know the agent, which was at `from`. */
  | {
      readonly type: 'told';
      readonly agent: string;
      readonly from: AnsweredBy | undefined;
      readonly at: AnsweredBy;
    }
  | { readonly type: 'split'; readonly agent: string; readonly split: Split };

const MAX_EXAMPLES = 10;
/** A limit on distinct codes: they come from answers, so their number is not under our control. */
const MAX_CODES = 100;

/** Collects the results of all agents of one run. */
export class AgentRecord {
  readonly splits = new SplitDetector();
  readonly #startedAt = performance.now();
  readonly #latency = new Histogram();
  readonly #answersByConnector = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #errors = new Map<string, number>();
  readonly #loggedOn = new Map<string, AnsweredBy>();
  readonly #examples: Split[] = [];
  readonly #onEvent: (event: AgentEvent) => void;
  #requests = 0;
  #answers = 0;
  #corrupted = 0;
  #logons = 0;
  #relogons = 0;
  #logoffs = 0;
  #splitCount = 0;

  constructor(onEvent: (event: AgentEvent) => void) {
    this.#onEvent = onEvent;
  }

  begun(): void {
    this.#requests += 1;
  }

  answered(latencyMs: number): void {
    this.#answers += 1;
    this.#latency.record(latencyMs);
  }

  fault(code: string, latencyMs: number): void {
    count(this.#faults, code);
    this.#latency.record(latencyMs);
  }

  error(code: string): void {
    count(this.#errors, code);
  }

  corrupted(): void {
    this.#corrupted += 1;
  }

  ended(request: Omit<Extract<AgentEvent, { type: 'request' }>, 'type' | 'endedAt'>): void {
    this.#onEvent({ type: 'request', endedAt: performance.now(), ...request });
  }

  /**
   * Records an answer of a connector, possibly a Fault.
   *
   * @param about the agent whose connector this shows; `undefined` if the request named no agent
   */
  answeredBy(about: string | undefined, by: AnsweredBy, begunAt: number, now: number): void {
    count(this.#answersByConnector, by.connector);
    if (about === undefined) return;
    for (const split of this.splits.answered(about, by, begunAt, now)) {
      this.#splitCount += 1;
      if (this.#examples.length < MAX_EXAMPLES) this.#examples.push(split);
      this.#onEvent({ type: 'split', agent: split.agent, split });
    }
  }

  /** Records that a connector answered "not logged on" to the agent. */
  told(agent: string, at: AnsweredBy): void {
    const from = this.#loggedOn.get(agent);
    this.#loggedOn.delete(agent);
    this.splits.told(agent);
    this.#onEvent({ type: 'told', agent, from, at });
  }

  loggedOn(agent: string, at: AnsweredBy, again: boolean): void {
    this.#logons += 1;
    if (again) this.#relogons += 1;
    this.#loggedOn.set(agent, at);
    this.#onEvent({ type: 'logon', agent, at, again });
  }

  loggedOff(agent: string, answered: boolean): void {
    this.#logoffs += 1;
    this.#loggedOn.delete(agent);
    this.#onEvent({ type: 'logoff', agent, answered });
  }

  /** The connector of each agent that is logged on. */
  places(): ReadonlyMap<string, AnsweredBy> {
    return this.#loggedOn;
  }

  stats(): AgentStats {
    const agentsByConnector = new Map<string, number>();
    for (const place of this.#loggedOn.values()) count(agentsByConnector, place.connector);
    return {
      elapsedMs: Math.round(performance.now() - this.#startedAt),
      requests: this.#requests,
      answers: this.#answers,
      answersByConnector: sorted(this.#answersByConnector),
      faults: sorted(this.#faults),
      errors: sorted(this.#errors),
      corrupted: this.#corrupted,
      logons: this.#logons,
      relogons: this.#relogons,
      logoffs: this.#logoffs,
      splits: this.#splitCount,
      splitExamples: [...this.#examples],
      undecidedMoves: this.splits.undecided,
      loggedOn: this.#loggedOn.size,
      agentsByConnector: sorted(agentsByConnector),
      latency: this.#latency.summary(),
    };
  }
}

function count(counts: Map<string, number>, key: string): void {
  const known = counts.has(key) || counts.size < MAX_CODES ? key : 'other';
  counts.set(known, (counts.get(known) ?? 0) + 1);
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
