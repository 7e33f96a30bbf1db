import { StoreUnavailable, wasLate } from '../core/ports.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { BindingsEvents } from './bindings-options.ts';
import { reportOutcome } from './store-outcome.ts';

// Reads may be answered where writes are refused: that they are tells nothing so soon after a write that was.
const UNCLEAR_MS = 1_000;

/** How the store answers what is asked about bindings: tells of each question, and knows which have failed since the last answer. */
export class StoreMonitor {
  readonly #events: Pick<BindingsEvents, 'onOperation'>;
  /** When the first of those was asked that failed, the last one, and the last that would have written. */
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

  /** The same promise, and its outcome is counted. */
  count<T>(operation: 'claim' | 'rebind' | 'lookup' | 'renew', answer: Promise<T>): Promise<T> {
    const told = reportOutcome(answer, (...how) => this.#events.onOperation(operation, ...how));
    return this.watch(told, operation === 'claim' || operation === 'rebind');
  }

  /** The same without being counted. */
  async watch<T>(answer: Promise<T>, writes = false): Promise<T> {
    const asked = performance.now();
    try {
      const result = await answer;
      this.#answered(writes);
      return result;
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) this.#answered(writes);
      // A timer of this process that was late says nothing of the store.
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
