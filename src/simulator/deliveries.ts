import { LRUCache } from 'lru-cache';

/** How often a connector received one id. */
export interface Delivery {
  /** Request headers that arrived with it. */
  readonly started: number;
  /** Request bodies that arrived completely. */
  readonly completed: number;
}

export interface DeliveryReport {
  /** Requests whose header arrived, whether or not they bore an id. */
  readonly total: number;
  /** Requests whose body arrived completely. */
  readonly completed: number;
  /** Ids that arrived more than once. */
  readonly duplicates: string[];
  readonly ids?: Record<string, Delivery>;
}

/**
 * Counts what arrived, by id. Headers and bodies are counted apart, because a
 * request of which only the header came twice was sent twice all the same.
 *
 * Bounded: the oldest ids are forgotten. Duplicates, once seen, are kept.
 */
export class Deliveries {
  readonly #limit: number;
  // A Map would be walked past all that was deleted from it to find the oldest.
  readonly #counts: LRUCache<string, { started: number; completed: number }>;
  readonly #duplicates = new Set<string>();
  #total = 0;
  #completed = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#counts = new LRUCache({ max: limit });
  }

  /** The header of a request arrived, bearing these ids. */
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

  /** The body of that request arrived completely. */
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
