import { Store } from './store.ts';

const TICK_MS = 1_000;
// The header says whole seconds, and the answer took a moment.
const EXACT_WITHIN_MS = 2_000;

/** Moves on once a second. By the gateway's clock, so that ages are right on a machine whose clock is wrong. */
class Clock extends Store<number> {
  #ahead = 0;

  start(): void {
    setInterval(() => this.set(this.now()), TICK_MS);
  }

  now(): number {
    return Date.now() + this.#ahead;
  }

  /** @param date header of an answer that has just arrived */
  learn(date: string | null): void {
    const ahead = date === null ? Number.NaN : Date.parse(date) - Date.now();
    if (Number.isNaN(ahead)) return;
    this.#ahead = Math.abs(ahead) <= EXACT_WITHIN_MS ? 0 : ahead;
  }
}

export const clock = new Clock(Date.now());
