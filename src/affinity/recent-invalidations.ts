import type { Name } from '../core/identity.ts';
import { storedKey } from '../core/stored-name.ts';

const MAX_NAMES = 10_000;

/** Names whose move was heard lately, because news of a move can arrive before an answer that is older. */
export class RecentInvalidations {
  readonly #invalidatedAt = new Map<string, number>();

  /** @param at monotonic milliseconds */
  add(names: readonly Name[], at: number): void {
    for (const name of names) {
      const key = storedKey(name);
      // Deleted first, so that the one heard last is the last to be forgotten.
      this.#invalidatedAt.delete(key);
      this.#invalidatedAt.set(key, at);
    }
    for (const oldest of this.#invalidatedAt.keys()) {
      if (this.#invalidatedAt.size <= MAX_NAMES) break;
      this.#invalidatedAt.delete(oldest);
    }
  }

  /** Does what the store said of these names, asked at `askedAt` in monotonic milliseconds, no longer count? */
  isOutdated(names: readonly Name[], askedAt: number): boolean {
    if (this.#invalidatedAt.size === 0) return false;
    return names.some((name) => (this.#invalidatedAt.get(storedKey(name)) ?? -1) >= askedAt);
  }
}
