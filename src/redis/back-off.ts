const SHORTEST_MS = 50;
const LONGEST_MS = 2_000;

/**
 * The delay before the next attempt to connect. It grows until {@link healthy} is called. An established connection is
 * not enough to reset it, because something may end each one on first use.
 */
export class BackOff {
  #failures = 0;

  /** Randomised, so that the processes of all gateways do not connect at once. */
  next(): number {
    const longest = Math.min(SHORTEST_MS * 2 ** this.#failures, LONGEST_MS);
    if (longest < LONGEST_MS) this.#failures += 1;
    return longest * (0.5 + Math.random() / 2);
  }

  healthy(): void {
    this.#failures = 0;
  }
}
