import { StoreUnavailable, wasLate } from '../core/ports.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { BindingsEvents } from './bindings-options.ts';
import type { StoreOutcome } from './store-outcome.ts';
import { outcomeOf } from './store-outcome.ts';

type StoreOperation = 'claim' | 'rebind' | 'lookup' | 'renew' | 'logoff';

// A store can answer reads while it refuses writes, so a successful read soon after a refused write proves nothing.
const UNCLEAR_MS = 1_000;

/** Watches how the store answers operations on bindings: counts each, and knows the failures since the last answer. */
export class StoreMonitor {
  readonly #events: Pick<BindingsEvents, 'onOperation'>;
  /** When the first and the last failed operation since the last answer were asked. */
  #trouble: { readonly first: number; last: number; error: string } | undefined;
  #lastRefused = Number.NEGATIVE_INFINITY;

  constructor(events: Pick<BindingsEvents, 'onOperation'>) {
    this.#events = events;
  }

  get trouble(): ClaimTrouble | undefined {
    if (this.#trouble === undefined) return undefined;
    const { first, last, error } = this.#trouble;
    const now = performance.now();
    return { error, firstAgoMs: now - first, lastAgoMs: now - last };
  }

  /** Resolves as the answer does, and counts how the operation ended and how long it took. */
  count<T>(operation: StoreOperation, answer: Promise<T>): Promise<T> {
    return this.watch(answer, operation);
  }

  /** {@link count}; without an operation it is not counted. */
  async watch<T>(answer: Promise<T>, operation?: StoreOperation): Promise<T> {
    const asked = performance.now();
    const writes = operation === 'claim' || operation === 'rebind';
    const end = (outcome: StoreOutcome): void => {
      if (operation !== undefined)
        this.#events.onOperation(operation, outcome, (performance.now() - asked) / 1_000);
    };
    try {
      const result = await answer;
      end('ok');
      this.#answered(writes);
      return result;
    } catch (error) {
      end(outcomeOf(error));
      if (!(error instanceof StoreUnavailable)) this.#answered(writes);
      // If this process's own timer was late, the time-out says nothing about the store.
      else if (!wasLate(error)) this.#failed(asked, error.message, writes);
      throw error;
    }
  }

  #answered(writes: boolean): void {
    if (writes || performance.now() - this.#lastRefused >= UNCLEAR_MS) this.#trouble = undefined;
  }

  #failed(asked: number, error: string, writes: boolean): void {
    if (writes) this.#lastRefused = performance.now();
    this.#trouble ??= { first: asked, last: asked, error };
    this.#trouble.last = asked;
    this.#trouble.error = error;
  }
}
