import { randomUUID } from 'node:crypto';
import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client';
import { AggregatorRegistry, Gauge } from 'prom-client';
import type { Totals } from './totals.ts';

type Snapshot = readonly Omit<MetricObjectWithValues<MetricValue<string>>, 'collect'>[];

/** What is counted must not shrink when a process ends; what is measured ends with it. */
const COUNTED = new Set(['counter', 'histogram', 'summary']);
const START = 'process_start_time_seconds';

/**
 * The metrics of a host whose work is done by several processes: sums over those
 * that live, and what was counted by those that do not any more.
 */
export class HostMetrics {
  readonly #id = randomUUID();
  readonly #own: Registry;
  readonly #newest = new Map<string, Snapshot>();
  #ended: Snapshot = [];
  #hasInherited = false;

  /**
   * @param own of this process
   * @param startedAt of the host, in milliseconds since the Unix epoch
   */
  constructor(own: Registry, startedAt: number) {
    this.#own = own;
    // prom-client leaves the starts of processes out of sums. Here the host has one, whichever of them live.
    own.removeSingleMetric(START);
    const help = 'Start of the gateway since unix epoch in seconds.';
    new Gauge({ name: START, help, aggregator: 'first', registers: [own] }).set(startedAt / 1_000);
  }

  /** @param metrics as `getMetricsAsJSON` gives them in the process */
  heard(process: string, metrics: readonly unknown[]): void {
    this.#newest.set(process, metrics as Snapshot);
  }

  ended(process: string): void {
    const last = this.#newest.get(process);
    if (last === undefined) return;
    this.#newest.delete(process);
    this.#ended = merged([this.#ended, last.filter(isCounted)]);
  }

  /**
   * What this process and those that have ended counted so far, for the process
   * that goes on summing when this one has ended too.
   */
  async totals(): Promise<Totals> {
    // Only these: to read some of the others is to begin them anew.
    const own = this.#own.getMetricsAsArray().filter(isCounted) as unknown as Readable[];
    const counted = await Promise.all(own.map((metric) => metric.get()));
    return { by: this.#id, counted: merged([counted, this.#ended]) };
  }

  /** What an earlier process counted and knew of those that had ended; the first that is told counts. */
  inherit(totals: Totals | undefined): void {
    if (this.#hasInherited || totals === undefined) return;
    const { by, counted } = totals;
    // A worker that says hello twice was told in between.
    if (by === this.#id || counted.length === 0) return;
    this.#hasInherited = true;
    this.#ended = merged([this.#ended, counted as Snapshot]);
  }

  /** In Prometheus's text format. */
  async text(): Promise<string> {
    const own = (await this.#own.getMetricsAsJSON()) as unknown as Snapshot;
    return sum([own, ...this.#newest.values(), this.#ended]).metrics();
  }
}

interface Readable {
  get(): Promise<Snapshot[number]>;
}

function isCounted({ type }: { readonly type: unknown }): boolean {
  return COUNTED.has(String(type));
}

/** The sum as a snapshot. At once: one that was waited for would miss what came meanwhile, or bring it in twice. */
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
