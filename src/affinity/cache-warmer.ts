import type { Name } from '../core/identity.ts';
import type { AffinityStore, BindingPage } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';
import type { BindingCache } from './binding-cache.ts';
import { pause, Slices } from './pauses.ts';

export interface CacheWarmerOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  /** The epoch of the newest agreed view that is known here. */
  readonly epoch: () => number;
  /** Did a message about these names arrive since then, in monotonic milliseconds? */
  readonly isOutdated: (names: readonly Name[], askedAt: number) => boolean;
}

const PAGE = 500;
// The scan takes at most a third of a core's time, here and at the store.
const PAUSES_PER_PAGE = 2;
const SHORTEST_PAUSE_MS = 2;
// No message tells of other gateways' renewals, so their entries age here and must be read again.
const SCANS_PER_LIFETIME = 4;

/**
 * Fills the cache with bindings that other gateways made. An agent that comes to this gateway then needs no store
 * lookup, and is known here even while the store is away.
 *
 * Messages bring new bindings. A scan of the store, page by page in the background, finds older and missed ones. It
 * evicts nothing from the cache.
 */
export class CacheWarmer {
  readonly #options: CacheWarmerOptions;
  #isDue = false;
  #hasScanned = false;
  /** The cache's count of evictions when the last complete scan began; `undefined` if messages were missed since. */
  #evictedBefore: number | undefined;
  #gaps = 0;
  #scannedAt = Number.NEGATIVE_INFINITY;
  #scanning: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(options: CacheWarmerOptions) {
    this.#options = options;
  }

  /** All bindings that were in the store when this process started are known, as far as they fit. */
  get hasScanned(): boolean {
    return this.#hasScanned;
  }

  /** Every binding that the store has told of is known: a name that is not known here is new. */
  get isComplete(): boolean {
    return this.#evictedBefore === this.#options.cache.evicted;
  }

  /** Messages about bindings may have been missed. */
  mayHaveMissed(): void {
    this.#isDue = true;
    this.#gaps += 1;
    this.#evictedBefore = undefined;
  }

  /** To be called regularly while the store answers: starts a scan if one is due. */
  tick(): void {
    const isOld =
      performance.now() - this.#scannedAt >= this.#options.cache.idleLifetimeMs / SCANS_PER_LIFETIME;
    if (this.#closing.signal.aborted || this.#scanning !== undefined || !(this.#isDue || isOld)) return;
    this.#scanning = this.#scan().finally(() => {
      this.#scanning = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#scanning;
  }

  async #scan(): Promise<void> {
    this.#isDue = false;
    this.#scannedAt = performance.now();
    /** Aliases that were listed before their roots, by the key of the root. */
    const waiting = new Map<string, Name[]>();
    let cursor: string | undefined;
    const gaps = this.#gaps;
    const { evicted } = this.#options.cache;
    try {
      if (await this.#isEmpty()) {
        this.#end(gaps, evicted);
        return;
      }
      do {
        const askedAt = performance.now();
        const epoch = this.#options.epoch();
        const page = await this.#options.store.list({
          aliases: true,
          limit: PAGE,
          ...(cursor === undefined ? {} : { cursor }),
        });
        if (!(await this.#take(page, waiting, askedAt, epoch))) {
          this.#hasScanned = true;
          return;
        }
        cursor = page.cursor;
        const ms = (performance.now() - askedAt) * PAUSES_PER_PAGE;
        if (cursor !== undefined) await pause(Math.max(ms, SHORTEST_PAUSE_MS), this.#closing.signal);
      } while (cursor !== undefined && !this.#closing.signal.aborted);
      this.#end(gaps, evicted);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#isDue = true;
    }
  }

  /** Notes a complete scan. It found everything if no message was missed since it began with that many gaps. */
  #end(gaps: number, evicted: number): void {
    this.#hasScanned = true;
    if (gaps === this.#gaps) this.#evictedBefore = evicted;
  }

  /** Saves a new cluster a scan: one question instead of thousands. */
  async #isEmpty(): Promise<boolean> {
    for (const count of (await this.#options.store.counts()).values()) if (count > 0) return false;
    return true;
  }

  /** Returns false if the cache is full. */
  async #take(
    page: BindingPage,
    waiting: Map<string, Name[]>,
    askedAt: number,
    epoch: number,
  ): Promise<boolean> {
    const { cache, isOutdated } = this.#options;
    const slices = new Slices();
    for (const { binding, expiresInMs } of page.bindings) {
      // News that comes meanwhile is newer than the page, and counts below.
      if (slices.isOver) await slices.next();
      const key = storedKey(binding.root);
      if (isOutdated([binding.root], askedAt)) continue;
      if (cache.isFull && cache.peek(key)?.key !== key) return false;
      const aliases = waiting.get(key) ?? [];
      waiting.delete(key);
      const renewedAt = Math.min(askedAt, askedAt + expiresInMs - cache.idleLifetimeMs);
      const names = aliases.filter((alias) => !isOutdated([alias], this.#scannedAt));
      cache.put(names, binding, { askedAt, renewedAt, epoch });
    }
    for (const { name, root } of page.aliases ?? []) {
      if (slices.isOver) await slices.next();
      if (isOutdated([name, root], askedAt)) continue;
      const key = storedKey(root);
      const entry = cache.peek(key);
      if (entry?.key === key) cache.join([name], entry);
      else waiting.set(key, [...(waiting.get(key) ?? []), name]);
    }
    return true;
  }
}
