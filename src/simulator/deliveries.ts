import { LRUCache } from 'lru-cache';

/** How often a connector received one id. */
export interface Delivery {
  /** Request headers that arrived with this id. */
  readonly started: number;
  /** Request bodies that arrived completely. */
  readonly completed: number;
}

export interface DeliveryReport {
  /** Requests of which the header arrived, with or without an id. */
  readonly total: number;
  /** Requests of which the body arrived completely. */
  readonly completed: number;
  /** Ids that arrived more than once. */
  readonly duplicates: string[];
  readonly ids?: Record<string, Delivery>;
}

/**
 * Counts requests by id. It counts headers and bodies separately, because a
 * request of which only the header arrived twice was still sent twice.
 *
 * Bounded: it forgets the oldest ids, but keeps duplicates once seen.
 */
export class Deliveries {
  readonly #limit: number;
  // To find its oldest entry, a Map would have to skip all deleted ones.
  readonly #counts: LRUCache<string, { started: number; completed: number }>;
  readonly #duplicates = new Set<string>();
  #total = 0;
  #completed = 0;

  constructor(limit: number) {
    this.#limit = limit;
    // With `max` it would reserve memory for all of them at once, at each start of a connector.
    this.#counts = new LRUCache({ maxSize: limit, sizeCalculation: () => 1 });
  }

  /** Records the header of a request with these ids. */
  started(ids: readonly string[]): void {
    this.#total += 1;
    for (const id of ids) {
      const count = this.#counts.peek(id);
      if (count === undefined) {
        this.#counts.set(id, { started: 1, completed: 0 });
      } else {
        count.started += 1;
        if (this.#duplicates.size < this.#limit) this.#duplicates.add(id);
      }
    }
  }

  /** Records the complete body of a request with these ids. */
  completed(ids: readonly string[]): void {
    this.#completed += 1;
    for (const id of ids) {
      const count = this.#counts.peek(id);
      if (count !== undefined) count.completed += 1;
    }
  }

  get(id: string): Delivery | undefined {
    return this.#counts.peek(id);
  }

  report(withIds: boolean): DeliveryReport {
    const report = {
      total: this.#total,
      completed: this.#completed,
      duplicates: [...this.#duplicates],
    };
    return withIds ? { ...report, ids: Object.fromEntries(this.#counts.rentries()) } : report;
  }
}
