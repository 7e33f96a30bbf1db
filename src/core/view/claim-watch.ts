/**
 * What was asked of the store's bindings and not answered, since the last answer. Durations, so that they mean the same
 * in every process.
 */
export interface ClaimTrouble {
  /** What Redis or the connection said last. */
  readonly error: string;
  /** Milliseconds since the first of the questions was asked that failed in a row, and since the last one was. */
  readonly firstAgoMs: number;
  readonly lastAgoMs: number;
}

/**
 * Do claims fail although the ledger answers? Then the other gateways may still claim, and this one is out of order,
 * not the store. Times are monotonic ms.
 */
export class ClaimWatch {
  readonly #thresholdMs: number;
  /** Until then the ledger was silent as well. */
  #silentUntil = Number.NEGATIVE_INFINITY;
  #failure: string | undefined;

  /** @param thresholdMs for how long both must have been so; the ledger must have answered more recently */
  constructor(thresholdMs: number) {
    this.#thresholdMs = thresholdMs;
  }

  /** Why claims fail. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** @param leaseLeftMs tells how long ago the ledger has answered */
  tick(now: number, leaseLeftMs: number, trouble: ClaimTrouble | undefined): void {
    // A gateway that is alone has its bindings and its ledger in one place.
    const isSilent = !(leaseLeftMs > this.#thresholdMs) || !Number.isFinite(leaseLeftMs);
    if (isSilent) this.#silentUntil = now;
    // What has been found stays so while the lease lasts: one answer of the ledger that comes late is no recovery.
    const isFound = this.#failure !== undefined && leaseLeftMs > 0;
    if (trouble === undefined) this.#failure = undefined;
    else if (isFound || (!isSilent && this.#isLong(now, trouble))) this.#failure = trouble.error;
    else this.#failure = undefined;
  }

  /** The last question counts, not the time that has passed: the store may be well again without having been asked. */
  #isLong(now: number, { firstAgoMs, lastAgoMs }: ClaimTrouble): boolean {
    const since = Math.max(now - firstAgoMs, this.#silentUntil);
    return now - lastAgoMs - since >= this.#thresholdMs;
  }
}
