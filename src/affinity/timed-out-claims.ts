import type { Claim } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';

/**
 * Claims and moves that were given up before their answer came. The store may
 * still carry them out, so nothing else is decided about their agents until they
 * are answered, or cannot be any more.
 */
export class TimedOutClaims {
  /** How many of them each name has. */
  readonly #open = new Map<string, number>();
  readonly #onAnswers: () => void;
  #isNotificationDue = false;

  /** @param onAnswers called after some were answered: requests may be waiting for that */
  constructor(onAnswers: () => void) {
    this.#onAnswers = onAnswers;
  }

  /** May what was asked about one of these names still be carried out? */
  isOpen(names: readonly Name[]): boolean {
    return this.#open.size > 0 && names.some((name) => this.#open.has(storedKey(name)));
  }

  /** Waits for the answer to what failed so, if one can still come. */
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
    // `undefined` where nothing was done.
    (failure.timedOut.answer as Promise<Claim | undefined>).then((claim) => {
      if (claim !== undefined) onAnswer(claim);
      settle();
    }, settle);
  }

  /** Once for all that are answered in one turn of the event loop, as after a pause of the store. */
  #notifySoon(): void {
    if (this.#isNotificationDue) return;
    this.#isNotificationDue = true;
    setImmediate(() => {
      this.#isNotificationDue = false;
      this.#onAnswers();
    });
  }
}
