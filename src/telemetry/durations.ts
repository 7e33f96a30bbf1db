import type { Metric, Registry } from 'prom-client';

interface Observed {
  /** One bucket per bound, and a last one for values above all bounds. */
  readonly buckets: Float64Array;
  sum: number;
}

/**
 * A histogram by pool for values observed on every request. It costs a tenth of prom-client's, which finds its bucket
 * through label objects. It exports its data to prom-client in that library's format.
 */
export class Durations {
  readonly name: string;
  readonly help: string;
  readonly labelNames = ['pool'] as const;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: readonly number[];
  readonly #byPool = new Map<string, Observed>();

  /** @param bounds upper bounds in seconds, ascending */
  constructor(registry: Registry, name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    registry.registerMetric(this as unknown as Metric);
  }

  observe(pool: string, seconds: number): void {
    const observed = this.#byPool.get(pool) ?? this.begin(pool);
    let bucket = 0;
    while (seconds > (this.#bounds[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    (observed.buckets[bucket] as number) += 1;
    observed.sum += seconds;
  }

  /** Begins a pool's series at zero. */
  begin(pool: string): Observed {
    const observed = { buckets: new Float64Array(this.#bounds.length + 1), sum: 0 };
    this.#byPool.set(pool, observed);
    return observed;
  }

  /** The method through which prom-client reads a metric. */
  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const values: object[] = [];
    for (const [pool, { buckets, sum }] of this.#byPool) {
      let count = 0;
      buckets.forEach((observed, i) => {
        count += observed;
        values.push({
          metricName: `${name}_bucket`,
          labels: { le: this.#bounds[i] ?? '+Inf', pool },
          value: count,
        });
      });
      values.push({ metricName: `${name}_sum`, labels: { pool }, value: sum });
      values.push({ metricName: `${name}_count`, labels: { pool }, value: count });
    }
    return { name, help, type, aggregator, values };
  }

  reset(): void {
    this.#byPool.clear();
  }
}
