import type { Latencies } from './histogram.ts';
import { Histogram } from './histogram.ts';
import type { AnsweredBy, Split } from './split-detector.ts';
import { SplitDetector } from './split-detector.ts';

/** What simulated agents have seen so far. */
export interface AgentStats {
  readonly elapsedMs: number;
  /** Requests begun. Each ends as an answer, a fault or an error. */
  readonly requests: number;
  readonly answers: number;
  /** Answers and Faults of connectors, by connector. */
  readonly answersByConnector: Readonly<Record<string, number>>;
  /** By the gateway's code (`GW_…`), else by fault string. */
  readonly faults: Readonly<Record<string, number>>;
  /** Requests without a whole answer, by error code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Answers which prove that other bytes, or another user, arrived than were sent. */
  readonly corrupted: number;
  readonly logons: number;
  /** Logons because the connector did not know the agent any more. */
  readonly relogons: number;
  readonly logoffs: number;
  /** Logons during which two living connectors answered. */
  readonly splits: number;
  /** The first few, for the operator to look up. */
  readonly splitExamples: readonly Split[];
  /** Moves to another connector that are neither proven splits nor explained by a Fault. */
  readonly undecidedMoves: number;
  readonly loggedOn: number;
  /** Agents who are logged on, by connector. */
  readonly agentsByConnector: Readonly<Record<string, number>>;
  /** Of requests that were answered, with or without a Fault. */
  readonly latency: Latencies;
}

export type AgentEvent =
  | {
      readonly type: 'request';
      readonly agent: string;
      /** Under which connectors count its deliveries. */
      readonly id: string;
      /** Both on the clock of `performance.now()`. */
      readonly begunAt: number;
      readonly endedAt: number;
      /** The connector that answered, be it with a Fault. */
      readonly by: AnsweredBy | undefined;
      /** Where no connector did: the gateway's code, or that of the error. */
      readonly failure: string | undefined;
    }
  | { readonly type: 'logon'; readonly agent: string; readonly at: AnsweredBy; readonly again: boolean }
  /** The connector at `at` does not know the agent, who was at `from`. */
  | {
      readonly type: 'told';
      readonly agent: string;
      readonly from: AnsweredBy | undefined;
      readonly at: AnsweredBy;
    }
  | { readonly type: 'split'; readonly agent: string; readonly split: Split };

const MAX_EXAMPLES = 10;
/** Codes come from answers, so their number is not ours to choose. */
const MAX_CODES = 100;

/** Where all agents of one run write down what happens to them. */
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
   * A connector answered, be it with a Fault.
   *
   * @param about the agent whose place this tells; `undefined` where the request named none
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

  /** The agent was told that he is not logged on. */
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

  loggedOff(agent: string): void {
    this.#logoffs += 1;
    this.#loggedOn.delete(agent);
  }

  /** Where each agent who is logged on is. */
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
