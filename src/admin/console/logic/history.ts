import type { EpochAnswer, EpochCause, HistoryAnswer } from '../data/contract.ts';

/** How much of the history is shown, and by which steps. */
export const SPANS = {
  '15m': { text: '15 minutes, by second', step: 'second', pollMs: 5_000 },
  '1h': { text: '1 hour, by second', step: 'second', pollMs: 15_000 },
  '6h': { text: '6 hours, by minute', step: 'minute', pollMs: 30_000 },
  '24h': { text: '24 hours, by minute', step: 'minute', pollMs: 30_000 },
} as const;

export type SpanName = keyof typeof SPANS;

export const CAUSES: Readonly<Record<EpochCause, string>> = {
  'probes-failed': 'gateways lost an instance',
  'probes-passed': 'gateways reach an instance again',
  start: 'first probes',
  restart: 'an instance was restarted',
  failover: 'the active instance was lost',
  failback: 'failback',
  drain: 'a drain is over',
  empty: 'an instance in quarantine has no sessions',
  configuration: 'configuration',
  operator: 'an operator',
};

/** Causes that agents may have noticed. */
const SEVERE: ReadonlySet<EpochCause> = new Set<EpochCause>(['probes-failed', 'restart', 'failover']);

export function isSevere({ cause }: EpochAnswer): boolean {
  return SEVERE.has(cause);
}

export function isSpan(text: string | undefined): text is SpanName {
  return text !== undefined && text in SPANS;
}

type Values = readonly (number | null)[];

export interface Chart {
  readonly title: string;
  readonly kind: 'rate' | 'ms' | 'number';
  readonly values: Values;
}

export interface Charts {
  /** Seconds since the Unix epoch, as uPlot wants them. */
  readonly at: readonly number[];
  readonly charts: readonly Chart[];
}

// The newest seconds are not complete when they are asked for.
const NOT_DUE = 3;

/** What is drawn of a history. A step that is not known is a gap. */
export function chartsOf(history: HistoryAnswer): Charts {
  const { knownSeconds, answers, latency, errors, instances, stepSeconds } = history;
  const steps = lengthOf(knownSeconds);
  const from = Date.parse(history.from) / 1_000;
  const cut = (values: Values = []): Values => values.slice(0, steps);
  const rate = (columns: readonly Values[]): Values =>
    Array.from({ length: steps }, (_, i) => {
      const known = knownSeconds[i] ?? 0;
      return known === 0 ? null : columns.reduce((sum, column) => sum + (column[i] ?? 0), 0) / known;
    });
  return {
    at: Array.from({ length: steps }, (_, i) => from + i * stepSeconds),
    charts: [
      { title: 'Requests', kind: 'rate', values: rate(Object.values(answers)) },
      { title: 'Answers with a fault', kind: 'rate', values: rate([answers['5xx'] ?? []]) },
      { title: 'Errors of the gateway', kind: 'rate', values: rate(Object.values(errors)) },
      { title: 'Half of the requests took at most', kind: 'ms', values: cut(latency['p50']) },
      { title: '95 % took at most', kind: 'ms', values: cut(latency['p95']) },
      { title: '99 % took at most', kind: 'ms', values: cut(latency['p99']) },
      { title: 'Requests at the instances', kind: 'number', values: cut(history.inFlight) },
      { title: 'Requests that wait', kind: 'number', values: cut(history.parked) },
      ...Object.entries(instances).flatMap(([id, { agents, requests, failures }]): Chart[] => [
        { title: `Agents at ${id}`, kind: 'number', values: cut(agents) },
        { title: `Requests at ${id}`, kind: 'rate', values: rate([requests]) },
        { title: `Failures at ${id}`, kind: 'rate', values: rate([failures]) },
      ]),
    ],
  };
}

function lengthOf(known: readonly number[]): number {
  let steps = known.length;
  while (steps > 0 && steps > known.length - NOT_DUE && known[steps - 1] === 0) steps -= 1;
  return steps;
}

/** A part of the time line with the changes of the view in it. */
export interface Cell {
  readonly epochs: readonly EpochAnswer[];
  /** Where each of them is within the cell, from 0 to 1. */
  readonly places: readonly number[];
}

/** Wide enough on a narrow screen for a finger. */
export const CELLS = 12;

/** The changes between two times by parts of the time line, the oldest first. */
export function cellsOf(epochs: readonly EpochAnswer[], from: number, to: number): Cell[] {
  const cells = Array.from({ length: CELLS }, () => ({
    epochs: [] as EpochAnswer[],
    places: [] as number[],
  }));
  for (const epoch of [...epochs].reverse()) {
    // A change is known some seconds before what was counted at its time.
    const place = Math.min(CELLS, ((Date.parse(epoch.at) / 1_000 - from) / (to - from)) * CELLS);
    const index = Math.min(CELLS - 1, Math.floor(place));
    cells[index]?.epochs.push(epoch);
    cells[index]?.places.push(place - index);
  }
  return cells;
}

/** `gw1: down, gw2: up`; empty if it is not known. */
export function reportsText({ changes }: EpochAnswer): string {
  const { reports = {} } = changes.find(({ basis }) => basis !== undefined)?.basis ?? {};
  return Object.entries(reports)
    .map(([gateway, verdict]) => `${gateway}: ${verdict}`)
    .join(', ');
}
