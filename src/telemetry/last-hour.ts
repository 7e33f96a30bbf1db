const SLOT_MS = 5 * 60_000;
const SLOTS = 12;

interface Slot {
  /** Counts periods of SLOT_MS. */
  number: number;
  readonly counts: Map<string, Map<string, number>>;
}

/** Counts by pool and one more key over the last hour, in twelve slots of five minutes. */
export class LastHour<Key extends string = string> {
  readonly #slots: readonly Slot[] = Array.from({ length: SLOTS }, () => ({ number: -1, counts: new Map() }));
  readonly #mostKeys: number;
  readonly #others: Key | undefined;

  /**
   * @param mostKeys of a pool in a slot; later ones count as `others`, because clients may choose the keys
   * @param others `undefined`: later ones are not counted
   */
  constructor(mostKeys = Number.POSITIVE_INFINITY, others?: Key) {
    this.#mostKeys = mostKeys;
    this.#others = others;
  }

  /** Returns how often the key came in this slot; 0 if it is not counted. */
  inc(pool: string, key: Key, now = performance.now()): number {
    const number = Math.floor(now / SLOT_MS);
    const slot = this.#slots[number % SLOTS] as Slot;
    if (slot.number !== number) {
      slot.number = number;
      slot.counts.clear();
    }
    const counts = slot.counts.get(pool) ?? new Map<string, number>();
    slot.counts.set(pool, counts);
    const isNew = counts.size >= this.#mostKeys && !counts.has(key);
    const counted = isNew ? this.#others : key;
    if (counted === undefined) return 0;
    const count = (counts.get(counted) ?? 0) + 1;
    counts.set(counted, count);
    return count;
  }

  /** The sums of a pool, the greatest first. */
  of(pool: string, now = performance.now()): Map<Key, number> {
    const oldest = Math.floor(now / SLOT_MS) - SLOTS + 1;
    const sums = new Map<Key, number>();
    for (const { number, counts } of this.#slots) {
      if (number < oldest) continue;
      for (const [key, count] of counts.get(pool) ?? [])
        sums.set(key as Key, (sums.get(key as Key) ?? 0) + count);
    }
    return new Map([...sums].sort(([, a], [, b]) => b - a));
  }
}
