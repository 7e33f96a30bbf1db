/** How a wait ended; `dismissed`: what was waited for here will not come. */
export type Woken = 'changed' | 'dismissed' | 'timeout' | 'cancelled';

/** One request that waits. */
export interface Waiter {
  readonly promise: Promise<Woken>;
  cancel(): void;
}

/**
 * Holds unsent requests until something changes: bounded in number by `limit`
 * and in time by each wait's own limit.
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

  /** Returns `undefined` when the room is full. */
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

  /** Sends all away. */
  dismissAll(): void {
    for (const leave of [...this.#waiting]) leave('dismissed');
  }
}
