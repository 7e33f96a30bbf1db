// One lost message is not an outage.
const FAILURES_UNTIL_AWAY = 2;

/**
 * Has the store failed to answer often and long enough to count as away? A claim
 * that failed counts once, however many there were, and never without the ledger.
 * Times are monotonic ms.
 */
export class StoreOutage {
  #failures = 0;
  #isDoubted = false;
  #since: number | undefined;
  #isAway = false;

  get isAway(): boolean {
    return this.#isAway;
  }

  /** The last attempt to hear from the store failed. */
  get isFailing(): boolean {
    return this.#failures > 0 || this.#isDoubted;
  }

  /** When the first of the attempts was made that failed in a row. */
  get since(): number | undefined {
    return this.#since;
  }

  /** A claim that was made then was not answered. */
  doubted(since: number): void {
    this.#isDoubted = true;
    this.#since ??= since;
  }

  /** The ledger, asked then, did not answer. */
  failed(since: number): void {
    this.#failures += 1;
    this.#since ??= since;
  }

  /** The ledger has answered. What counted as away stays so until its answer allows to act: see {@link end}. */
  answered(): void {
    this.#failures = 0;
    this.#isDoubted = false;
    this.#since = undefined;
  }

  end(): void {
    this.#isAway = false;
    this.answered();
  }

  /** Is it away now? Once it is, it stays so until {@link end}. */
  judge(now: number, patienceMs: number): boolean {
    const failures = this.#failures + (this.#isDoubted ? 1 : 0);
    const hasFailed = this.#failures > 0 && failures >= FAILURES_UNTIL_AWAY;
    this.#isAway ||= hasFailed && now - (this.#since ?? now) >= patienceMs;
    return this.#isAway;
  }
}
