/** How a wait ended. `dismissed` means that waiting here is no longer of use. */
export type Woken = 'changed' | 'dismissed' | 'timeout' | 'cancelled';

/** A waiting request. */
export interface Waiter {
  readonly promise: Promise<Woken>;
  cancel(): void;
}

/**
 * Holds unsent requests until something changes. `limit` bounds their number, and each wait has its own time limit.
 *
 * A request is *parked* in the queue of its pool until an instance can take it. It is *queued* in the queue of an
 * instance that has `maxInFlight` requests, until one of them ends.
 */
export class WaitQueue {
  readonly #limit: number;
  readonly #waiting = new Set<(how: Woken) => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Returns `undefined` if the queue is full. */
  enter(timeoutMs: number): Waiter | undefined {
    if (this.#waiting.size >= this.#limit) return undefined;
    let leave: (how: Woken) => void = () => {};
    const promise = new Promise<Woken>((resolve) => {
      const timer = setTimeout(() => leave('timeout'), timeoutMs);
      leave = (how) => {
        clearTimeout(timer);
        this.#waiting.delete(leave);
        resolve(how);
      };
      this.#waiting.add(leave);
    });
    return { promise, cancel: () => leave('cancelled') };
  }

  /** Wakes the request that has waited longest. Returns false if none waits. */
  wakeOne(): boolean {
    for (const leave of this.#waiting) {
      leave('changed');
      return true;
    }
    return false;
  }

  wakeAll(): void {
    for (const leave of [...this.#waiting]) leave('changed');
  }

  /** Ends all waits, because waiting here is no longer of use. */
  dismissAll(): void {
    for (const leave of [...this.#waiting]) leave('dismissed');
  }
}
