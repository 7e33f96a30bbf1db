import type { InstanceId } from '../instance.ts';
import type { Cell, StepName } from './history-table.ts';
import { HistoryTable, STEPS } from './history-table.ts';
import { LATENCY_BUCKETS, percentiles } from './latencies.ts';
import type { InstanceCounts, PoolCounts } from './pool-counts.ts';
import { ANSWER_CLASSES } from './pool-counts.ts';

/** What the controller saw of a pool at the end of a second. */
export interface PoolSample {
  /** Requests at the instances. */
  readonly inFlight: number;
  /** Requests that wait for a change. */
  readonly parked: number;
  /** The agents bound to each instance of the view; `undefined` if they have not been counted. */
  readonly agents: ReadonlyMap<InstanceId, number> | undefined;
}

export type Values = readonly (number | null)[];

/** A part of the history of a pool: lists with one value for each step, `null` where it is not known. */
export interface HistoryPart {
  readonly step: StepName;
  /** When the first step begins, in seconds since the Unix epoch. */
  readonly from: number;
  /** How many seconds of each step are known; 0 for a gap. */
  readonly knownSeconds: readonly number[];
  /** By class. */
  readonly answers: Readonly<Record<string, Values>>;
  /** Milliseconds by percentile. */
  readonly latency: Readonly<Record<string, Values>>;
  readonly inFlight: Values;
  readonly parked: Values;
  /** By code; only those that occurred. */
  readonly errors: Readonly<Record<string, Values>>;
  readonly instances: Readonly<
    Record<InstanceId, { readonly agents: Values; readonly requests: Values; readonly failures: Values }>
  >;
}

const PERCENTILES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
const PERCENTILE_NAMES = Object.keys(PERCENTILES);
const SHARES = Object.values(PERCENTILES);
// An answer with more would keep this process from its other work for long.
const MOST_VALUES = 200_000;

/** What happened in a pool: second by second for an hour, minute by minute for a day. */
export class PoolHistory {
  readonly #table = new HistoryTable();
  readonly #latenciesOfMinute = new Float64Array(LATENCY_BUCKETS);
  #minute = -1;

  /** The memory that it takes; it grows with the instances and the error codes of the last day. */
  get bytes(): number {
    return this.#table.bytes + this.#latenciesOfMinute.byteLength;
  }

  /**
   * @param second since the Unix epoch; later than the ones before
   * @param counts of all workers
   */
  add(second: number, counts: readonly PoolCounts[], sample: PoolSample | undefined): void {
    const answers = ANSWER_CLASSES.map((name, i) => sum(`answers/${name}`, total(counts, i)));
    const instances = instancesOf(counts, sample);
    this.#table.add(second, [
      ...answers,
      ...this.#latencyCells(second, counts),
      { name: 'inFlight', merging: 'most', value: sample?.inFlight ?? Number.NaN },
      { name: 'parked', merging: 'most', value: sample?.parked ?? Number.NaN },
      ...[...errorsOf(counts)].map(([code, number]) => sum(`error/${code}`, number)),
      ...[...instances].flatMap(([id, { requests, failures }]): Cell[] => [
        { name: `agents/${id}`, merging: 'last', value: sample?.agents?.get(id) ?? Number.NaN },
        sum(`requests/${id}`, requests),
        sum(`failures/${id}`, failures),
      ]),
    ]);
  }

  /** The clock was set back: seconds from this one on come again. */
  forgetFrom(second: number): void {
    this.#table.forgetFrom(second);
    this.#minute = -1;
  }

  /**
   * The steps between two times, in seconds since the Unix epoch. The answer begins later if it would be too long.
   *
   * @param to without the step that begins then
   */
  part(step: StepName, from: number, to: number): HistoryPart {
    const table = this.#table;
    const { seconds: length, kept } = STEPS[step];
    const end = Math.ceil(to / length) * length;
    const most = Math.min(kept, Math.floor(MOST_VALUES / (table.names.length + 1)));
    const first = Math.max(Math.floor(from / length) * length, end - most * length);
    const seconds = Array.from({ length: Math.max(0, (end - first) / length) }, (_, i) => first + i * length);
    const known = seconds.map((second) => table.known(step, second));
    const values = (name: string, missing: number | null = null): Values =>
      seconds.map((second, i) => {
        const value = known[i] === 0 ? Number.NaN : table.value(name, step, second);
        return Number.isNaN(value) ? (known[i] === 0 ? null : missing) : rounded(value);
      });
    const { names } = table;
    const under = (prefix: string): string[] =>
      names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
    const group = (prefix: string, keys: readonly string[], missing?: number) =>
      Object.fromEntries(keys.map((key) => [key, values(`${prefix}${key}`, missing)]));
    return {
      step,
      from: first,
      knownSeconds: known,
      answers: group('answers/', ANSWER_CLASSES),
      latency: group('latency/', PERCENTILE_NAMES),
      inFlight: values('inFlight'),
      parked: values('parked'),
      errors: withoutIdle(group('error/', under('error/').sort(), 0)),
      instances: Object.fromEntries(
        under('agents/').map((id) => [
          id,
          {
            agents: values(`agents/${id}`),
            requests: values(`requests/${id}`),
            failures: values(`failures/${id}`),
          },
        ]),
      ),
    };
  }

  #latencyCells(second: number, counts: readonly PoolCounts[]): Cell[] {
    const ofSecond = new Float64Array(LATENCY_BUCKETS);
    const ofMinute = this.#latenciesOfMinute;
    const minute = Math.floor(second / STEPS.minute.seconds);
    if (minute !== this.#minute) ofMinute.fill(0);
    this.#minute = minute;
    for (const { latencies } of counts) {
      for (const [bucket, number] of latencies) {
        (ofSecond[bucket] as number) += number;
        (ofMinute[bucket] as number) += number;
      }
    }
    const found = percentiles(ofSecond, SHARES);
    const inMinute = percentiles(ofMinute, SHARES);
    return PERCENTILE_NAMES.map((name, i) => ({
      name: `latency/${name}`,
      merging: 'last',
      value: found[i] as number,
      ofMinute: inMinute[i] as number,
    }));
  }
}

function sum(name: string, value: number): Cell {
  return { name, merging: 'sum', value };
}

function total(counts: readonly PoolCounts[], answerClass: number): number {
  return counts.reduce((all, { answers }) => all + (answers[answerClass] ?? 0), 0);
}

function errorsOf(counts: readonly PoolCounts[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { errors } of counts)
    for (const [code, number] of errors) sums.set(code, (sums.get(code) ?? 0) + number);
  return sums;
}

function instancesOf(counts: readonly PoolCounts[], sample: PoolSample | undefined) {
  const sums = new Map<InstanceId, InstanceCounts>();
  for (const id of sample?.agents?.keys() ?? []) sums.set(id, { requests: 0, failures: 0 });
  for (const { instances } of counts) {
    for (const [id, { requests, failures }] of instances) {
      const before = sums.get(id);
      sums.set(id, {
        requests: (before?.requests ?? 0) + requests,
        failures: (before?.failures ?? 0) + failures,
      });
    }
  }
  return sums;
}

function withoutIdle(values: Readonly<Record<string, Values>>): Record<string, Values> {
  return Object.fromEntries(Object.entries(values).filter(([, one]) => one.some(Boolean)));
}

/** Latencies to four digits, counts as they are. */
function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}
