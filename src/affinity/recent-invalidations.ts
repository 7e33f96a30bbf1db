import type { Name } from '../core/identity.ts';
import { storedKey } from '../core/stored-name.ts';

const REMEMBERED = 10_000;

/** Names whose move was heard lately, because news of a move can arrive before an answer that is older. */
export class RecentInvalidations {
  readonly #heardAt = new Map<string, number>();

  /** @param at monotonic milliseconds */
  heard(names: readonly Name[], at: number): void {
    for (const name of names) {
      const key = storedKey(name);
      // Deleted first, so that the one heard last is the last to be forgotten.
      this.#heardAt.delete(key);
      this.#heardAt.set(key, at);
    }
    for (const oldest of this.#heardAt.keys()) {
      if (this.#heardAt.size <= REMEMBERED) break;
      this.#heardAt.delete(oldest);
    }
  }

  /** Does what the store said of these names, asked at `askedAt` in monotonic milliseconds, no longer count? */
  isOutdated(names: readonly Name[], askedAt: number): boolean {
    if (this.#heardAt.size === 0) return false;
    return names.some((name) => (this.#heardAt.get(storedKey(name)) ?? -1) >= askedAt);
  }
}
