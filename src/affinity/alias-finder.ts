import { LRUCache } from 'lru-cache';
import type { Name } from '../core/identity.ts';
import type { AffinityStore } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';

const REMEMBERED = 1_000;
// An open page asks every few seconds, and a scan costs the store and this process as much as a hundred claims.
const REMEMBERED_MS = 30_000;
const ROOTS_AT_ONCE = 50;
const PAGE = 1_000;
// More than an agent has within the lifetime of a binding.
const MOST_ALIASES = 100;

interface Known {
  readonly aliases: Promise<readonly Name[]>;
  /** In monotonic milliseconds. */
  readonly askedAt: number;
}

/** The roots of one scan, and the aliases that it finds, by the keys of the roots. */
interface Scan {
  readonly roots: Map<string, Name>;
  readonly found: Promise<ReadonlyMap<string, readonly Name[]>>;
}

/**
 * Finds the aliases of roots in the store, for operators, if the workers may lack some. A root does not know its
 * aliases, because that would double the size of a binding, so the whole store is read. Those who ask at the same time
 * share one scan.
 */
export class AliasFinder {
  readonly #store: AffinityStore;
  readonly #known = new LRUCache<string, Known>({ max: REMEMBERED });
  /** The scan that has not begun yet. */
  #next: Scan | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: AffinityStore) {
    this.#store = store;
  }

  /** The aliases of the root, at most half a minute old. @throws StoreUnavailable */
  find(root: Name): Promise<readonly Name[]> {
    const key = storedKey(root);
    const known = this.#known.get(key);
    if (known !== undefined && performance.now() - known.askedAt < REMEMBERED_MS) return known.aliases;
    const scan = this.#scanWithRoom();
    scan.roots.set(key, root);
    const aliases = scan.found.then((found) => found.get(key) ?? []);
    this.#known.set(key, { aliases, askedAt: performance.now() });
    aliases.catch(() => this.#known.delete(key));
    return aliases;
  }

  #scanWithRoom(): Scan {
    if (this.#next !== undefined && this.#next.roots.size < ROOTS_AT_ONCE) return this.#next;
    const roots = new Map<string, Name>();
    const begin = async (): Promise<ReadonlyMap<string, readonly Name[]>> => {
      if (this.#next?.roots === roots) this.#next = undefined;
      return this.#scan([...roots.values()]);
    };
    const scan = { roots, found: this.#last.then(begin, begin) };
    this.#next = scan;
    this.#last = scan.found;
    return scan;
  }

  async #scan(aliasesOf: readonly Name[]): Promise<ReadonlyMap<string, readonly Name[]>> {
    const found = new Map<string, Name[]>();
    let cursor: string | undefined;
    do {
      const page = await this.#store.list({
        aliasesOf,
        limit: PAGE,
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { name, root } of page.aliases ?? []) {
        const key = storedKey(root);
        const names = found.get(key) ?? [];
        if (names.length < MOST_ALIASES) found.set(key, [...names, name]);
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    return found;
  }
}
