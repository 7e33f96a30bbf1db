// One lost message is not an outage.
const FAILURES_UNTIL_AWAY = 2;
// One command's time. Where all gateways place an agent alike, waiting longer would gain nothing.
const DOUBTFUL_MS = 100;

/** A question that the store did not answer in time, or refused. Times are monotonic ms. */
export interface Unanswered {
  /** When it was asked. */
  readonly since: number;
  /** The timer that gave it up fired late: this process or its machine is slow, and the store may not be. */
  readonly wasLate?: boolean;
}

/**
 * Has the store failed to answer often and long enough to count as away? A claim
 * that failed counts once, however many there were, and never without the ledger.
 * Times are monotonic ms.
 */
export class StoreOutage {
  readonly #lateExcusedMs: number;
  #failures = 0;
  #isDoubted = false;
  #isFailing = false;
  /** When the first of the questions was asked that failed in a row, and the last one. */
  #since: number | undefined;
  #lastAskedAt = Number.NEGATIVE_INFINITY;
  /** The same as the first, with those that a late timer excuses for a while. */
  #silentSince: number | undefined;
  #isDoubtful = false;
  #isAway = false;
  #isHeard = false;
  /** When it was there last, as an answer to another question shows. */
  #heardAt = Number.NEGATIVE_INFINITY;

  /** @param lateExcusedMs after so long a silence a late timer excuses nothing any more */
  constructor(lateExcusedMs: number) {
    this.#lateExcusedMs = lateExcusedMs;
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** It counts as away and has answered since, though not long enough ago to have gone again. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** It has not answered for the time of a command. It may be slow, or stand still for a moment. */
  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  /** The last attempt to hear from the store failed. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** When the first of the questions was asked that failed in a row. */
  get since(): number | undefined {
    return this.#since;
  }

  /** A claim was not answered. */
  doubted(now: number, question: Unanswered): void {
    if (this.#counts(now, question)) this.#isDoubted = true;
  }

  /** The ledger did not answer. */
  failed(now: number, question: Unanswered): void {
    if (!this.#counts(now, question)) return;
    this.#failures += 1;
    this.#lastAskedAt = Math.max(this.#lastAskedAt, question.since);
  }

  /**
   * The store has answered. What counted as away stays so until its answer allows to act: see {@link end}.
   *
   * @param now until then it was there, whatever it was asked before and has not answered
   */
  answered(now = Number.NEGATIVE_INFINITY): void {
    this.#heardAt = Math.max(this.#heardAt, now);
    this.#isHeard = this.#isAway;
    this.#failures = 0;
    this.#isDoubted = false;
    this.#isFailing = false;
    this.#since = undefined;
    this.#lastAskedAt = Number.NEGATIVE_INFINITY;
    this.#silentSince = undefined;
    this.#isDoubtful = false;
  }

  end(): void {
    this.#isAway = false;
    this.answered();
  }

  /**
   * Is it away now? Once it is, it stays so until {@link end}. The last question must have been asked when the
   * patience was over already: a store that stood still for less time has answered that one.
   */
  check(now: number, thresholdMs: number): boolean {
    const failures = this.#failures + (this.#isDoubted ? 1 : 0);
    const since = this.#since ?? now;
    const hasFailed = this.#failures > 0 && failures >= FAILURES_UNTIL_AWAY;
    this.#isDoubtful = hasFailed && now - since >= DOUBTFUL_MS;
    if (hasFailed && this.#lastAskedAt - since >= thresholdMs) {
      this.#isAway = true;
      this.#isHeard = false;
    }
    return this.#isAway;
  }

  #counts(now: number, { since: askedAt, wasLate = false }: Unanswered): boolean {
    const since = Math.max(askedAt, this.#heardAt);
    this.#isFailing = true;
    this.#silentSince = Math.min(this.#silentSince ?? since, since);
    const isExcused = now - this.#silentSince < this.#lateExcusedMs;
    if (wasLate && isExcused) return false;
    const first = isExcused ? since : this.#silentSince;
    this.#since = Math.min(this.#since ?? first, first);
    return true;
  }
}
