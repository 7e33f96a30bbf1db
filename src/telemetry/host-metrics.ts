import { randomUUID } from 'node:crypto';
import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client';
import { AggregatorRegistry } from 'prom-client';
import type { Totals } from '../host/totals.ts';

type Snapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

/** What is counted must not shrink when a process ends; what is measured ends with it. */
const COUNTED = new Set(['counter', 'histogram', 'summary']);

/**
 * The metrics of a host whose work is done by several processes: sums over those
 * that live, and what was counted by those that do not any more.
 */
export class HostMetrics {
  readonly #id = randomUUID();
  readonly #own: Registry;
  readonly #newest = new Map<string, Snapshot>();
  #ended: Snapshot[] = [];
  #hasInherited = false;

  /** @param own of this process */
  constructor(own: Registry) {
    this.#own = own;
  }

  get contentType(): string {
    return this.#own.contentType;
  }

  /** @param metrics as `getMetricsAsJSON` gives them in the process */
  heard(process: string, metrics: readonly unknown[]): void {
    this.#newest.set(process, metrics as Snapshot);
  }

  ended(process: string): void {
    const last = this.#newest.get(process);
    if (last === undefined) return;
    this.#newest.delete(process);
    this.#ended.push(last.filter(({ type }) => COUNTED.has(String(type))));
  }

  /** What processes counted that have ended, for the process that goes on summing. */
  async totals(): Promise<Totals> {
    return { by: this.#id, counted: await snapshotOf(sum(this.#ended)) };
  }

  /** What an earlier process knew of those that had ended; the first that is told counts. */
  inherit(totals: Totals | undefined): void {
    if (this.#hasInherited || totals === undefined) return;
    const { by, counted } = totals;
    // A worker that says hello twice was told in between.
    if (by === this.#id || counted.length === 0) return;
    this.#hasInherited = true;
    this.#ended.push(counted as Snapshot);
  }

  /** In Prometheus's text format. */
  async text(): Promise<string> {
    const own = await snapshotOf(this.#own);
    // One is as good as many, and many would pile up with every process that ends.
    const ended = this.#ended;
    if (ended.length > 1) {
      const together = await snapshotOf(sum(ended));
      this.#ended = [together, ...this.#ended.filter((one) => !ended.includes(one))];
    }
    return sum([own, ...this.#newest.values(), ...this.#ended]).metrics();
  }
}

async function snapshotOf(registry: Registry): Promise<Snapshot> {
  return (await registry.getMetricsAsJSON()) as unknown as Snapshot;
}

function sum(snapshots: readonly Snapshot[]): Registry {
  return AggregatorRegistry.aggregate(snapshots.filter((one) => one.length > 0) as never[]);
}
