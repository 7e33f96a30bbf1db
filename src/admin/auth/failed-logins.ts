import { networkOf } from '../../core/network.ts';

// Typing errors cost nothing; then each further attempt waits twice as long as the one before.
const FREE_ATTEMPTS = 3;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
const FORGET_AFTER_MS = 15 * 60_000;
// A network of attackers must not fill the memory.
const MOST_SOURCES = 10_000;

interface Failures {
  readonly count: number;
  readonly at: number;
}

/**
 * Slows down a source after wrong passwords of a user. It may still try those of other users, so that operators behind
 * one address do not lock each other out.
 */
export class FailedLogins {
  readonly #failures = new Map<string, Failures>();
  readonly #now: () => number;

  /** @param now in milliseconds, by a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Counts an attempt as failed before it is checked, so that attempts at the same moment count too. Returns the
   * milliseconds that the source has to wait; above 0 the attempt must not be checked.
   */
  begin(source: string, user: string): number {
    const now = this.#now();
    const key = keyOf(source, user);
    const { count, at } = this.#recent(key, now);
    const wait = at + waitAfter(count) - now;
    if (wait > 0) return wait;
    this.#put(key, { count: count + 1, at: now });
    return 0;
  }

  /** The attempt did not fail after all. Earlier failures stay: they may have been those of others. */
  takeBack(source: string, user: string): void {
    const key = keyOf(source, user);
    const { count, at } = this.#recent(key, this.#now());
    if (count > 1) this.#put(key, { count: count - 1, at });
    else this.#failures.delete(key);
  }

  #recent(key: string, now: number): Failures {
    const found = this.#failures.get(key);
    return found === undefined || now - found.at >= FORGET_AFTER_MS ? { count: 0, at: now } : found;
  }

  #put(key: string, failures: Failures): void {
    this.#failures.delete(key);
    this.#failures.set(key, failures);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MOST_SOURCES && oldest !== undefined) this.#failures.delete(oldest);
  }
}

function keyOf(source: string, user: string): string {
  return `${networkOf(source)} ${user}`;
}

function waitAfter(failures: number): number {
  if (failures < FREE_ATTEMPTS) return 0;
  return Math.min(FIRST_WAIT_MS * 2 ** (failures - FREE_ATTEMPTS), LONGEST_WAIT_MS);
}
