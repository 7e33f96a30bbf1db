import type { CountsOfSecond } from '../core/history/pool-counts.ts';
import type { PoolSample } from '../core/history/pool-history.ts';
import { PoolHistory } from '../core/history/pool-history.ts';
import { SecondAssembly } from '../core/history/second-assembly.ts';
import { everySecond } from './second-timer.ts';

export interface HistoryParts {
  /** The workers that must report each second. */
  readonly workers: () => Iterable<string>;
  readonly sample: (pool: string) => PoolSample;
}

/** Keeps the histories of all pools: puts together what the workers count in each second, and looks at the pools. */
export class Histories {
  readonly #parts: HistoryParts;
  readonly #pools: ReadonlyMap<string, PoolHistory>;
  readonly #assembly = new SecondAssembly();
  /** The pools at the end of the last second; that of its workers arrives a little later. */
  #samples: { readonly second: number; readonly byPool: ReadonlyMap<string, PoolSample> } | undefined;
  #stop = (): void => {};

  constructor(pools: readonly string[], parts: HistoryParts) {
    this.#pools = new Map(pools.map((name) => [name, new PoolHistory()]));
    this.#parts = parts;
  }

  of(pool: string): PoolHistory {
    return this.#pools.get(pool) as PoolHistory;
  }

  report(worker: string, second: number, counts: CountsOfSecond): void {
    this.#assembly.report(worker, second, counts);
  }

  start(): void {
    // Reads what the workers have sent first, as for a call.
    this.#stop = everySecond((ended) => setImmediate(() => this.#tick(ended)));
  }

  stop(): void {
    this.#stop();
  }

  #tick(ended: number): void {
    const { workers, sample } = this.#parts;
    const assembled = this.#assembly.tick(ended, workers());
    if (assembled === undefined) for (const history of this.#pools.values()) history.forgetFrom(ended);
    for (const { second, pools } of assembled ?? []) {
      const samples = this.#samples?.second === second ? this.#samples.byPool : undefined;
      for (const [name, history] of this.#pools)
        history.add(second, pools.get(name) ?? [], samples?.get(name));
    }
    this.#samples = {
      second: ended,
      byPool: new Map([...this.#pools.keys()].map((name) => [name, sample(name)])),
    };
  }
}
