/** The values of counters at one moment, by name. A counter that has not counted yet may be missing. */
export type Counts = ReadonlyMap<string, number>;

interface Sample {
  readonly at: number;
  readonly counts: Counts;
}

/** How much counters have grown lately. Times are in milliseconds, of any clock that does not jump. */
export class CounterHistory {
  readonly #everyMs: number;
  readonly #keepMs: number;
  /** The oldest first. */
  readonly #samples: Sample[] = [];
  #newest: Sample | undefined;

  /**
   * @param everyMs samples closer together than this replace each other, which bounds their number
   * @param keepMs the longest time that {@link increase} is asked about
   */
  constructor({ everyMs, keepMs }: { readonly everyMs: number; readonly keepMs: number }) {
    this.#everyMs = everyMs;
    this.#keepMs = keepMs;
  }

  add(at: number, counts: Counts): void {
    this.#newest = { at, counts };
    const last = this.#samples.at(-1);
    if (last !== undefined && at - last.at < this.#everyMs) return;
    this.#samples.push(this.#newest);
    // One sample before the kept time is needed, to know the growth since then.
    while ((this.#samples[1]?.at ?? at) <= at - this.#keepMs) this.#samples.shift();
  }

  /** How many moments are kept. */
  get samples(): number {
    return this.#samples.length;
  }

  /** The newest value. */
  value(name: string): number {
    return this.#newest?.counts.get(name) ?? 0;
  }

  /** How much the counter has grown in the last `withinMs`, or since the first sample if that was later. */
  increase(name: string, withinMs: number): number {
    if (this.#newest === undefined) return 0;
    const from = this.#newest.at - withinMs;
    const before = this.#samples.findLast(({ at }) => at <= from) ?? this.#samples[0];
    // A counter that shrinks has started again.
    return Math.max(0, this.value(name) - (before?.counts.get(name) ?? 0));
  }
}
