import { COMMAND_MS } from '../command-time.ts';

// One lost message is not an outage.
const FAILURES_UNTIL_AWAY = 2;

/** A request that the store refused or did not answer in time. Times are monotonic ms. */
export interface Unanswered {
  /** When it was sent. */
  readonly since: number;
  /** The timer that gave it up fired late: the delay may lie in this process or machine, not in the store. */
  readonly wasLate?: boolean;
}

/**
 * Decides whether the store has failed often and long enough to count as away. Failed claims count once, however many
 * there are, and only together with a failed sync. Times are monotonic ms.
 */
export class StoreOutage {
  readonly #lateExcusedMs: number;
  #failures = 0;
  #isDoubted = false;
  #isFailing = false;
  /** When the first and the last of the consecutive failed requests were sent. */
  #since: number | undefined;
  #lastAskedAt = Number.NEGATIVE_INFINITY;
  /** Like the first, but including requests that a late timer excuses for a while. */
  #silentSince: number | undefined;
  #isDoubtful = false;
  #isAway = false;
  #hasAnswered = false;
  /** When the store was last there, as an answer to another request shows. */
  #answeredAt = Number.NEGATIVE_INFINITY;

  /** @param lateExcusedMs after this much silence, a late timer no longer excuses a failure */
  constructor(lateExcusedMs: number) {
    this.#lateExcusedMs = lateExcusedMs;
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** The store counts as away but has answered since, and has not been found away again. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** The store has been silent for the time of a command. It may be slow or may hang for a moment. */
  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  /** The last attempt to reach the store failed. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** When the first of the consecutive failed requests was sent. */
  get since(): number | undefined {
    return this.#since;
  }

  /** A claim was not answered. */
  doubted(now: number, question: Unanswered): void {
    if (this.#counts(now, question)) this.#isDoubted = true;
  }

  /** The view store did not answer. */
  failed(now: number, question: Unanswered): void {
    if (!this.#counts(now, question)) return;
    this.#failures += 1;
    this.#lastAskedAt = Math.max(this.#lastAskedAt, question.since);
  }

  /**
   * The store answered. A store that counts as away still does so until its answer permits acting: see {@link end}.
   *
   * @param now the store was there until then, whatever earlier requests it left unanswered
   */
  answered(now: number): void {
    this.#answeredAt = Math.max(this.#answeredAt, now);
    this.#reset();
  }

  end(): void {
    this.#isAway = false;
    this.#reset();
  }

  #reset(): void {
    this.#hasAnswered = this.#isAway;
    this.#failures = 0;
    this.#isDoubted = false;
    this.#isFailing = false;
    this.#since = undefined;
    this.#lastAskedAt = Number.NEGATIVE_INFINITY;
    this.#silentSince = undefined;
    this.#isDoubtful = false;
  }

  /**
   * Is the store away now? Once away, it stays so until {@link end}. The last failed request must have been sent
   * after the threshold had passed: a store that hung for less time has answered that one.
   */
  check(now: number, thresholdMs: number): boolean {
    const failures = this.#failures + (this.#isDoubted ? 1 : 0);
    const since = this.#since ?? now;
    const hasFailed = this.#failures > 0 && failures >= FAILURES_UNTIL_AWAY;
    // If all gateways place an agent alike, to wait longer than one command takes gains nothing.
    this.#isDoubtful = hasFailed && now - since >= COMMAND_MS;
    if (hasFailed && this.#lastAskedAt - since >= thresholdMs) {
      this.#isAway = true;
      this.#hasAnswered = false;
    }
    return this.#isAway;
  }

  #counts(now: number, { since: askedAt, wasLate = false }: Unanswered): boolean {
    const since = Math.max(askedAt, this.#answeredAt);
    this.#isFailing = true;
    this.#silentSince = Math.min(this.#silentSince ?? since, since);
    const isExcused = now - this.#silentSince < this.#lateExcusedMs;
    if (wasLate && isExcused) return false;
    const first = isExcused ? since : this.#silentSince;
    this.#since = Math.min(this.#since ?? first, first);
    return true;
  }
}
