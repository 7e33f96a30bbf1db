/** Buckets grow by this factor, so a quantile is at most 5 % above the true value. */
const GROWTH = 1.05;
const SMALLEST_MS = 0.05;
/** Up to ten minutes, the longest wait in the simulators. */
const BUCKETS = Math.ceil(Math.log(600_000 / SMALLEST_MS) / Math.log(GROWTH)) + 1;

export interface Latencies {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Durations in buckets of equal relative width, with fixed memory for any number of values. */
export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #count = 0;
  #max = 0;

  record(ms: number): void {
    const bucket = ms <= SMALLEST_MS ? 0 : Math.ceil(Math.log(ms / SMALLEST_MS) / Math.log(GROWTH));
    const index = Math.min(bucket, BUCKETS - 1);
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count += 1;
    if (ms > this.#max) this.#max = ms;
  }

  /** The smallest bucket bound that is not exceeded by at least this share of the durations. */
  quantile(share: number): number {
    const wanted = Math.ceil(share * this.#count);
    let seen = 0;
    for (let index = 0; index < BUCKETS; index += 1) {
      seen += this.#buckets[index] ?? 0;
      if (seen >= wanted && seen > 0) return Math.min(SMALLEST_MS * GROWTH ** index, this.#max);
    }
    return 0;
  }

  summary(): Latencies {
    return {
      count: this.#count,
      p50Ms: round(this.quantile(0.5)),
      p90Ms: round(this.quantile(0.9)),
      p99Ms: round(this.quantile(0.99)),
      maxMs: round(this.#max),
    };
  }
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
