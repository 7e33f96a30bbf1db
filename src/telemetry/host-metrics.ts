import { randomUUID } from 'node:crypto';
import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client';
import { AggregatorRegistry, Gauge } from 'prom-client';
import type { Totals } from './totals.ts';

type Snapshot = readonly Omit<MetricObjectWithValues<MetricValue<string>>, 'collect'>[];

/** These must not shrink when a process ends. Gauges end with their process. */
const COUNTED = new Set(['counter', 'histogram', 'summary']);
const START = 'process_start_time_seconds';

/**
 * The metrics of a gateway with several processes: the sums over all live ones, plus the
 * counters of those that have ended.
 */
export class HostMetrics {
  readonly #id = randomUUID();
  readonly #own: Registry;
  readonly #newest = new Map<string, Snapshot>();
  #ended: Snapshot = [];
  #hasInherited = false;

  /**
   * @param own the metrics of this process
   * @param startedAt when the gateway started, in milliseconds since the Unix epoch
   */
  constructor(own: Registry, startedAt: number) {
    this.#own = own;
    // prom-client omits process start times from sums. The gateway has one start time, whatever processes are running.
    own.removeSingleMetric(START);
    const help = 'Start of the gateway since unix epoch in seconds.';
    new Gauge({ name: START, help, aggregator: 'first', registers: [own] }).set(startedAt / 1_000);
  }

  /** @param metrics the result of `getMetricsAsJSON` in that process */
  update(process: string, metrics: readonly unknown[]): void {
    this.#newest.set(process, metrics as Snapshot);
  }

  ended(process: string): void {
    const last = this.#newest.get(process);
    if (last === undefined) return;
    this.#newest.delete(process);
    this.#ended = merged([this.#ended, last.filter(isCounted)]);
  }

  /**
   * The counters of this process and of the ended ones so far, for the process that
   * continues the sum after this one.
   */
  async totals(): Promise<Totals> {
    // Only these: reading some of the other metrics resets them.
    const own = this.#own.getMetricsAsArray().filter(isCounted) as unknown as Readable[];
    const counted = await Promise.all(own.map((metric) => metric.get()));
    return { by: this.#id, counted: merged([counted, this.#ended]) };
  }

  /** Takes over the totals of an earlier process; only the first call counts. Returns whether it did. */
  inherit(totals: Totals | undefined): boolean {
    if (this.#hasInherited || totals === undefined) return false;
    const { by, counted } = totals;
    // A worker that says hello twice may return totals that this process itself has sent.
    if (by === this.#id || counted.length === 0) return false;
    this.#hasInherited = true;
    this.#ended = merged([this.#ended, counted as Snapshot]);
    return true;
  }

  /**
   * The counters of all processes, added up by names of the caller's choice.
   *
   * @param metrics those that count, and the names to which each of their values is added
   */
  async sums(metrics: ReadonlyMap<string, NamesOf>): Promise<ReadonlyMap<string, number>> {
    const readable = [...metrics.keys()].map((name) =>
      this.#own.getSingleMetric(name),
    ) as unknown as Readable[];
    const own = await Promise.all(readable.map((metric) => metric.get()));
    const sums = new Map<string, number>();
    for (const { name, values } of [...own, ...[...this.#newest.values()].flat(), ...this.#ended]) {
      const namesOf = metrics.get(name);
      if (namesOf === undefined) continue;
      for (const { value, labels, metricName = name } of values as readonly Value[]) {
        for (const sum of namesOf(labels, metricName)) sums.set(sum, (sums.get(sum) ?? 0) + value);
      }
    }
    return sums;
  }

  /** All metrics in the Prometheus text format. */
  async text(): Promise<string> {
    const own = (await this.#own.getMetricsAsJSON()) as unknown as Snapshot;
    return sum([own, ...this.#newest.values(), this.#ended]).metrics();
  }
}

/** @param metricName ends with `_bucket`, `_sum` or `_count` for a value of a histogram */
export type NamesOf = (
  labels: Readonly<Record<string, string | number>>,
  metricName: string,
) => readonly string[];

interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

interface Readable {
  get(): Promise<Snapshot[number]>;
}

function isCounted({ type }: { readonly type: unknown }): boolean {
  return COUNTED.has(String(type));
}

/** The sum as a snapshot. Synchronous: during an await, new counts could be missed or added twice. */
function merged(snapshots: readonly Snapshot[]): Snapshot {
  const metrics = sum(snapshots).getMetricsAsArray() as unknown as Snapshot;
  return metrics.map(({ name, help, type, aggregator, values }) => ({
    name,
    help,
    type,
    aggregator,
    values,
  }));
}

function sum(snapshots: readonly Snapshot[]): Registry {
  return AggregatorRegistry.aggregate(snapshots.filter((one) => one.length > 0) as never[]);
}
