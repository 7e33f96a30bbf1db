/** A wait that has begun. */
export interface Wait {
  /** It does not end. */
  stop(): void;
}

interface Begun extends Wait {
  readonly endsAt: number;
  readonly onEnd: (lateMs: number) => void;
}

/**
 * One timer for many waits of the same length. Nearly every wait for a store is stopped long before it ends, so a timer
 * for each would cost much for nothing.
 */
export class SharedTimer {
  readonly #lengthMs: number;
  /** In the order in which they end. */
  readonly #waits = new Set<Begun>();
  #timer: NodeJS.Timeout | undefined;

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  /** @param onEnd called with how late it is, unless the wait is stopped before */
  start(onEnd: (lateMs: number) => void): Wait {
    const waits = this.#waits;
    const wait: Begun = {
      endsAt: performance.now() + this.#lengthMs,
      onEnd,
      stop: () => void waits.delete(wait),
    };
    waits.add(wait);
    if (this.#timer === undefined) this.#lookIn(this.#lengthMs);
    return wait;
  }

  /** The timer runs on when no wait is left, so it must not keep the process alive. */
  #lookIn(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    const now = performance.now();
    const ended: Begun[] = [];
    this.#timer = undefined;
    for (const wait of this.#waits) {
      // A timer may be early by the fraction of a millisecond.
      const leftMs = Math.ceil(wait.endsAt - now);
      if (leftMs > 0) {
        this.#lookIn(leftMs);
        break;
      }
      this.#waits.delete(wait);
      ended.push(wait);
    }
    for (const { onEnd, endsAt } of ended) onEnd(now - endsAt);
  }
}
