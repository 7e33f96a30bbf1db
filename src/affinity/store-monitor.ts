import { StoreUnavailable, wasLate } from '../core/ports.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { BindingsEvents } from './bindings-options.ts';
import { reportOutcome } from './store-outcome.ts';

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

  /** Returns the same promise and counts its outcome. */
  count<T>(operation: 'claim' | 'rebind' | 'lookup' | 'renew' | 'logoff', answer: Promise<T>): Promise<T> {
    const told = reportOutcome(answer, (...how) => this.#events.onOperation(operation, ...how));
    return this.watch(told, operation === 'claim' || operation === 'rebind');
  }

  /** {@link count} without counting. */
  async watch<T>(answer: Promise<T>, writes = false): Promise<T> {
    const asked = performance.now();
    try {
      const result = await answer;
      this.#answered(writes);
      return result;
    } catch (error) {
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
