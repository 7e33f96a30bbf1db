import type { Name } from '../core/identity.ts';
import { storedKey } from '../core/stored-name.ts';

const MAX_NAMES = 10_000;

/** Names that moved recently. A message about a move can overtake an older answer, which must then not be believed. */
export class RecentInvalidations {
  readonly #invalidatedAt = new Map<string, number>();

  /** @param at monotonic milliseconds */
  add(names: readonly Name[], at: number): void {
    for (const name of names) {
      const key = storedKey(name);
      // Deleted first, so that the map stays in the order of the latest move and drops the oldest.
      this.#invalidatedAt.delete(key);
      this.#invalidatedAt.set(key, at);
    }
    for (const oldest of this.#invalidatedAt.keys()) {
      if (this.#invalidatedAt.size <= MAX_NAMES) break;
      this.#invalidatedAt.delete(oldest);
    }
  }

  /** Did one of these names move since the store was asked, at `askedAt` in monotonic milliseconds? */
  isOutdated(names: readonly Name[], askedAt: number): boolean {
    if (this.#invalidatedAt.size === 0) return false;
    return names.some((name) => {
      const at = this.#invalidatedAt.get(storedKey(name));
      return at !== undefined && at >= askedAt;
    });
  }
}
