import { createHistogram } from 'node:perf_hooks';

export interface Latencies {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const US_PER_MS = 1_000;

/** Durations in ms, to three significant figures and at least 1 µs, with fixed memory for any number of values. */
export class Histogram {
  // Holds whole numbers from 1 on.
  readonly #histogram = createHistogram();

  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.ceil(ms * US_PER_MS)));
  }

  /** The duration at the rank nearest to this share of all; 0 while there are none. */
  quantile(share: number): number {
    return this.#histogram.percentile(share * 100) / US_PER_MS;
  }

  summary(): Latencies {
    return {
      count: this.#histogram.count,
      p50Ms: round(this.quantile(0.5)),
      p90Ms: round(this.quantile(0.9)),
      p99Ms: round(this.quantile(0.99)),
      maxMs: round(this.#histogram.max / US_PER_MS),
    };
  }
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
