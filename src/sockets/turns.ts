// The event loop accepts one connection in each of its turns, so a burst waits in the kernel's queue, in the order of
// arrival, as long as each is served at once. While more come, so many turns only accept.
const MOST_DEFERRED = 64;
// While others connect too, all of the room may be taken: those of the largest share then give way. Without others, half
// of it: the rest waits in the kernel's queue, and none is lost.
const OTHERS_MS = 10_000;
const ALONE = 0.5;
// As many requests begin in one turn at most, so that none of them takes long.
const EACH_TURN = 4;

export interface TurnsOptions<T> {
  /** How many may wait at the moment. */
  readonly room: () => number;
  readonly serve: (item: T) => void;
  /** Called for what has waited longest of the address that has most waiting, if there is no more room. */
  readonly drop: (item: T, address: string) => void;
}

/**
 * Serves what arrives in bursts a few at a time, and the addresses in turns. A burst from one address then delays
 * neither what is under way nor what comes from another one.
 */
export class Turns<T> {
  readonly #options: TurnsOptions<T>;
  /** What waits from each address. The address whose turn it is comes first. */
  readonly #waiting = new Map<string, T[]>();
  #size = 0;
  /** Something has come in this turn of the event loop. */
  #hasCome = false;
  /** This turn or the one before belongs to a burst. */
  #isBurst = false;
  /** How many turns in a row have served nothing, because more came. */
  #deferred = 0;
  #lastAddress: string | undefined;
  /** When something last came from another address than before it, in monotonic ms. */
  #othersAt = Number.NEGATIVE_INFINITY;

  constructor(options: TurnsOptions<T>) {
    this.#options = options;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Removes and returns all that wait. */
  takeAll(): T[] {
    const items = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#size = 0;
    return items;
  }

  /** Serves it at once, unless something came in this turn of the event loop or in the one before. */
  add(address: string, item: T): void {
    const waits = this.#isBurst;
    this.#notice(address);
    this.#hasCome = true;
    this.#continue();
    if (!waits) {
      this.#options.serve(item);
      return;
    }
    this.#push(address, item);
    if (this.#size > this.#options.room() && !this.#isAlone()) this.#dropOne();
  }

  #notice(address: string): void {
    if (address === this.#lastAddress) return;
    if (this.#lastAddress !== undefined) this.#othersAt = performance.now();
    this.#lastAddress = address;
  }

  #isAlone(): boolean {
    return performance.now() - this.#othersAt > OTHERS_MS;
  }

  #mayDefer(): boolean {
    if (this.#deferred >= MOST_DEFERRED) return false;
    return !this.#isAlone() || this.#size < this.#options.room() * ALONE;
  }

  #push(address: string, item: T): void {
    this.#size += 1;
    const waiting = this.#waiting.get(address);
    if (waiting === undefined) this.#waiting.set(address, [item]);
    else waiting.push(item);
  }

  #continue(): void {
    if (this.#isBurst) return;
    this.#isBurst = true;
    setImmediate(() => this.#endTurn());
  }

  #endTurn(): void {
    const hasCome = this.#hasCome;
    this.#isBurst = false;
    this.#hasCome = false;
    if (hasCome || this.#size > 0) this.#continue();
    if (hasCome && this.#mayDefer()) {
      this.#deferred += 1;
      return;
    }
    this.#deferred = 0;
    for (let i = 0; i < EACH_TURN; i += 1) {
      const item = this.#take();
      if (item === undefined) return;
      this.#options.serve(item);
    }
  }

  #dropOne(): void {
    let [most] = this.#waiting;
    for (const one of this.#waiting) if (one[1].length > (most?.[1].length ?? 0)) most = one;
    if (most === undefined) return;
    const [address, items] = most;
    const item = items.shift() as T;
    this.#size -= 1;
    if (items.length === 0) this.#waiting.delete(address);
    this.#options.drop(item, address);
  }

  #take(): T | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [address, items] = first;
    const item = items.shift();
    this.#size -= 1;
    // Its next turn comes after those of all others.
    this.#waiting.delete(address);
    if (items.length > 0) this.#waiting.set(address, items);
    return item;
  }
}
