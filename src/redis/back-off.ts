const SHORTEST_MS = 50;
const LONGEST_MS = 2_000;

/**
 * How long to wait before the next attempt to connect. It grows until {@link healthy}: that a connection came about
 * is not enough, where something ends it as soon as it is used.
 */
export class BackOff {
  #failures = 0;

  /** Spread, so that the processes of all gateways do not come at once. */
  next(): number {
    const longest = Math.min(SHORTEST_MS * 2 ** this.#failures, LONGEST_MS);
    if (longest < LONGEST_MS) this.#failures += 1;
    return longest * (0.5 + Math.random() / 2);
  }

  healthy(): void {
    this.#failures = 0;
  }
}
