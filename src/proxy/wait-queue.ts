/**
 * How a wait ended. `dismissed` means that waiting here is no longer of use, `full` that the queue has no place for the
 * request.
 */
export type Woken = 'changed' | 'dismissed' | 'full' | 'timeout' | 'cancelled';

/** A waiting request. */
export interface Waiter {
  readonly promise: Promise<Woken>;
  cancel(): void;
}

type Leave = (how: Woken) => void;

/**
 * Holds unsent requests until something changes. `limit` bounds their number, and each wait has its own time limit.
 *
 * A request is *parked* in the queue of its pool until an instance can take it. It is *queued* in the queue of an
 * instance that has `maxInFlight` requests, until one of them ends.
 *
 * Clients are woken in turns, and if the queue is full, the client with most requests in it gives way to others: requests
 * of one client cannot keep those of another one waiting.
 */
export class WaitQueue {
  readonly #limit: number;
  /** The waiting requests of each client, the oldest first. The client whose turn it is comes first. */
  readonly #waiting = new Map<string, Set<Leave>>();
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns `undefined` if the queue is full. */
  enter(timeoutMs: number, client: string): Waiter | undefined {
    if (this.#size >= this.#limit && !this.#makeRoom(client)) return undefined;
    let leave: Leave = () => {};
    const promise = new Promise<Woken>((resolve) => {
      const timer = setTimeout(() => leave('timeout'), timeoutMs);
      leave = (how) => {
        clearTimeout(timer);
        this.#remove(client, leave);
        resolve(how);
      };
    });
    this.#add(client, leave);
    return { promise, cancel: () => leave('cancelled') };
  }

  /**
   * Wakes the longest waiting request of the client whose turn it is. Returns false if none waits.
   *
   * @param mayWake called for each client in turn, until it returns true
   */
  wakeOne(mayWake: (client: string) => boolean): boolean {
    for (const [client, waiting] of this.#waiting) {
      if (!mayWake(client)) continue;
      // Its next turn comes after those of all other clients.
      this.#waiting.delete(client);
      this.#waiting.set(client, waiting);
      for (const leave of waiting) {
        leave('changed');
        return true;
      }
    }
    return false;
  }

  wakeAll(): void {
    this.#endAll('changed');
  }

  /** Ends all waits, because waiting here is no longer of use. */
  dismissAll(): void {
    this.#endAll('dismissed');
  }

  /** Ends the latest wait of the client with most requests, if this one has fewer all the same. */
  #makeRoom(client: string): boolean {
    const own = this.#waiting.get(client)?.size ?? 0;
    const [most] = [...this.#waiting.values()].sort((a, b) => b.size - a.size);
    if (most === undefined || most.size <= own + 1) return false;
    [...most].at(-1)?.('full');
    return true;
  }

  #add(client: string, leave: Leave): void {
    const waiting = this.#waiting.get(client);
    if (waiting === undefined) this.#waiting.set(client, new Set([leave]));
    else waiting.add(leave);
    this.#size += 1;
  }

  /** Does nothing if the request has left. */
  #remove(client: string, leave: Leave): void {
    const waiting = this.#waiting.get(client);
    if (waiting?.delete(leave) !== true) return;
    this.#size -= 1;
    if (waiting.size === 0) this.#waiting.delete(client);
  }

  #endAll(how: Woken): void {
    for (const waiting of [...this.#waiting.values()]) for (const leave of [...waiting]) leave(how);
  }
}
