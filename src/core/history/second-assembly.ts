import type { CountsOfSecond, PoolCounts } from './pool-counts.ts';

interface Pending {
  readonly from: Set<string>;
  readonly reports: CountsOfSecond[];
}

export interface AssembledSecond {
  readonly second: number;
  /** The counts of all workers, by pool. */
  readonly pools: ReadonlyMap<string, readonly PoolCounts[]>;
}

// A worker whose clock this process does not share yet, because the clock was just set.
const MOST_AHEAD = 2;

/**
 * Puts the reports of all workers about one second together. A second that some worker did not report is left out,
 * because its sum would be too small.
 *
 * Seconds are those of the host's clock since the Unix epoch.
 */
export class SecondAssembly {
  readonly #pending = new Map<number, Pending>();
  /** The first second that each worker must report. */
  readonly #since = new Map<string, number>();
  /** `undefined` before the first tick. */
  #doneTo: number | undefined;

  /** How many seconds wait for reports. */
  get waiting(): number {
    return this.#pending.size;
  }

  report(worker: string, second: number, counts: CountsOfSecond): void {
    if (this.#doneTo === undefined || second <= this.#doneTo) return;
    let pending = this.#pending.get(second);
    if (pending === undefined) {
      pending = { from: new Set(), reports: [] };
      this.#pending.set(second, pending);
    }
    pending.from.add(worker);
    pending.reports.push(counts);
  }

  /**
   * To be called once in each second.
   *
   * @param ended the second that has just ended; the workers have one more second to report it
   * @param workers those that report
   * @returns `undefined` if the clock was set back: seconds from `ended` on will come again
   */
  tick(ended: number, workers: Iterable<string>): readonly AssembledSecond[] | undefined {
    // What came before the first tick may be a part only.
    const isFirst = this.#doneTo === undefined;
    const due = isFirst ? ended : ended - 1;
    const wasSetBack = due < (this.#doneTo ?? due);
    if (wasSetBack) {
      this.#pending.clear();
      this.#since.clear();
    }
    const live = new Set(workers);
    for (const worker of this.#since.keys()) if (!live.has(worker)) this.#since.delete(worker);
    const assembled: AssembledSecond[] = [];
    for (const second of [...this.#pending.keys()].sort((a, b) => a - b)) {
      if (second > due && second <= ended + MOST_AHEAD) continue;
      const { from, reports } = this.#pending.get(second) as Pending;
      this.#pending.delete(second);
      const isWhole = [...this.#since].every(([worker, since]) => since > second || from.has(worker));
      if (second <= due && isWhole) assembled.push({ second, pools: byPool(reports) });
    }
    this.#doneTo = due;
    for (const worker of live) if (!this.#since.has(worker)) this.#since.set(worker, ended + 1);
    return wasSetBack ? undefined : assembled;
  }
}

function byPool(reports: readonly CountsOfSecond[]): Map<string, PoolCounts[]> {
  const pools = new Map<string, PoolCounts[]>();
  for (const report of reports) {
    for (const [pool, counts] of report) {
      const before = pools.get(pool);
      if (before === undefined) pools.set(pool, [counts]);
      else before.push(counts);
    }
  }
  return pools;
}
