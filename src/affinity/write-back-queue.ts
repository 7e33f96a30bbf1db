import type { Binding } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { KnownBinding } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';

/**
 * The decisions made while the store was away, by the key of each binding's root. They are written back before the
 * store is used for anything else.
 */
export class WriteBackQueue {
  readonly #entries = new Map<string, KnownBinding>();

  get size(): number {
    return this.#entries.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /**
   * @param epoch in which the store confirmed the binding; 0 if it was made or moved here
   * @param placedAt when it was made or moved here, in milliseconds since the Unix epoch
   */
  write(names: readonly Name[], binding: Binding, epoch: number, placedAt?: number): void {
    const key = storedKey(binding.root);
    const written = this.#entries.get(key);
    const aliases = aliasesOf(key, [...(written?.aliases ?? []), ...names]);
    const at = placedAt ?? written?.placedAt;
    this.#entries.set(key, { binding, aliases, epoch, ...(at === undefined ? {} : { placedAt: at }) });
  }

  /** Up to `limit` entries, with their keys, in the order in which they were first written. */
  first(limit: number): [string, KnownBinding][] {
    const first: [string, KnownBinding][] = [];
    for (const entry of this.#entries) {
      if (first.length === limit) break;
      first.push(entry);
    }
    return first;
  }

  /** Removes an entry that the store now has. An entry that changed in the meantime stays. */
  settle(key: string, entry: KnownBinding): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}

function aliasesOf(root: string, names: readonly Name[]): Name[] {
  const aliases = new Map(names.map((name) => [storedKey(name), name]));
  aliases.delete(root);
  return [...aliases.values()];
}
