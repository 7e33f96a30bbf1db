/**
 * Operations on bindings that the store has left unanswered since its last answer. The times are durations, so they
 * mean the same in every process.
 */
export interface ClaimTrouble {
  /** The last error from Redis or from the connection. */
  readonly error: string;
  /** Milliseconds since the first and since the last of the consecutive failed operations was sent. */
  readonly firstAgoMs: number;
  readonly lastAgoMs: number;
}

/**
 * Detects that claims fail while the view store still answers. Then other gateways may still be able to claim, and
 * the fault lies with this gateway, not with the store. Times are monotonic ms.
 */
export class ClaimWatch {
  readonly #thresholdMs: number;
  /** Until then the view store did not answer either. */
  #silentUntil = Number.NEGATIVE_INFINITY;
  #failure: string | undefined;

  /**
   * @param thresholdMs how long claims must have failed while the view store answered; the view store's last answer
   * must also be more recent than this
   */
  constructor(thresholdMs: number) {
    this.#thresholdMs = thresholdMs;
  }

  /** The error that claims fail with. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** @param leaseLeftMs shows how long ago the view store answered */
  tick(now: number, leaseLeftMs: number, trouble: ClaimTrouble | undefined): void {
    // Without peers the lease is infinite: bindings and view store are in the same place, so they fail together.
    const isSilent = !(leaseLeftMs > this.#thresholdMs) || !Number.isFinite(leaseLeftMs);
    if (isSilent) this.#silentUntil = now;
    // Once found, the failure stands while the lease lasts: a single late answer from the view store is no recovery.
    const isFound = this.#failure !== undefined && leaseLeftMs > 0;
    if (trouble === undefined) this.#failure = undefined;
    else if (isFound || (!isSilent && this.#isLong(now, trouble))) this.#failure = trouble.error;
    else this.#failure = undefined;
  }

  /** Measured to the last failed operation, not to now: the store may have recovered without being asked since. */
  #isLong(now: number, { firstAgoMs, lastAgoMs }: ClaimTrouble): boolean {
    const since = Math.max(now - firstAgoMs, this.#silentUntil);
    return now - lastAgoMs - since >= this.#thresholdMs;
  }
}
