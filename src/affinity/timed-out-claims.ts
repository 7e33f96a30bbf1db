import type { Claim } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';

/**
 * Claims and moves that timed out before their answer came. The store may still carry them out, so nothing else is
 * decided about their agents until the answer comes or can no longer come.
 */
export class TimedOutClaims {
  /** The number of open operations of each name. */
  readonly #open = new Map<string, number>();
  readonly #onAnswers: () => void;
  #isNotificationDue = false;

  /** @param onAnswers called after late answers, because requests may wait for them */
  constructor(onAnswers: () => void) {
    this.#onAnswers = onAnswers;
  }

  /** May the store still carry out an operation on one of these names? */
  isOpen(names: readonly Name[]): boolean {
    return this.#open.size > 0 && names.some((name) => this.#open.has(storedKey(name)));
  }

  /** Waits for the late answer to the operation that failed like this, if one can still come. */
  await(names: readonly Name[], failure: unknown, onAnswer: (claim: Claim) => void): void {
    if (!(failure instanceof StoreUnavailable) || failure.timedOut === undefined) return;
    const keys = names.map(storedKey);
    for (const key of keys) this.#open.set(key, (this.#open.get(key) ?? 0) + 1);
    const settle = (): void => {
      for (const key of keys) {
        const left = (this.#open.get(key) ?? 1) - 1;
        if (left === 0) this.#open.delete(key);
        else this.#open.set(key, left);
      }
      this.#notifySoon();
    };
    // `undefined` if the store did nothing.
    (failure.timedOut.answer as Promise<Claim | undefined>).then((claim) => {
      if (claim !== undefined) onAnswer(claim);
      settle();
    }, settle);
  }

  /** Calls the listener once per turn of the event loop: after a pause of the store, many answers come together. */
  #notifySoon(): void {
    if (this.#isNotificationDue) return;
    this.#isNotificationDue = true;
    setImmediate(() => {
      this.#isNotificationDue = false;
      this.#onAnswers();
    });
  }
}
