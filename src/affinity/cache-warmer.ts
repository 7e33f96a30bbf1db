import type { Name } from '../core/identity.ts';
import type { AffinityStore, BindingPage } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { storedKey } from '../core/stored-name.ts';
import type { BindingCache } from './binding-cache.ts';

export interface CacheWarmerOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  /** The epoch of the newest agreed view that is known here. */
  readonly epoch: () => number;
  /** Was news heard of these names since then, in monotonic milliseconds? */
  readonly isOutdated: (names: readonly Name[], askedAt: number) => boolean;
}

const PAGE = 500;
// At most a third of the time of a core, here and at the store.
const PAUSES_PER_PAGE = 2;
const SHORTEST_PAUSE_MS = 2;
// Others' renewals are not heard of, so what is known of their bindings ages.
const SCANS_PER_LIFETIME = 4;

/**
 * Feeds the cache with bindings that other gateways made, so that their agents
 * are known here too: at once where an agent comes by another way, and at all
 * while the store is away. New bindings are heard of; what was there before, or
 * was missed, is found by walking the store, page by page in the background.
 * Nothing is driven out of the cache for it.
 */
export class CacheWarmer {
  readonly #options: CacheWarmerOptions;
  #isDue = false;
  #hasScanned = false;
  /** How many bindings the cache had driven out when the last whole walk began; `undefined` where news were missed since. */
  #evictedBefore: number | undefined;
  #gaps = 0;
  #scannedAt = Number.NEGATIVE_INFINITY;
  #scanning: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(options: CacheWarmerOptions) {
    this.#options = options;
  }

  /** All bindings that were in the store when this process began are known, as far as there is room for them. */
  get hasScanned(): boolean {
    return this.#hasScanned;
  }

  /** Every binding of the store is known, as far as it has told of it: a name that is not known is new. */
  get isComplete(): boolean {
    return this.#evictedBefore === this.#options.cache.evicted;
  }

  /** There may be bindings that were not heard of. */
  mayHaveMissed(): void {
    this.#isDue = true;
    this.#gaps += 1;
    this.#evictedBefore = undefined;
  }

  /** To be called every now and then while the store answers: begins a walk if one is due. */
  tick(): void {
    const isOld =
      performance.now() - this.#scannedAt >= this.#options.cache.idleLifetimeMs / SCANS_PER_LIFETIME;
    if (this.#isClosed || this.#scanning !== undefined || !(this.#isDue || isOld)) return;
    this.#scanning = this.#scan().finally(() => {
      this.#scanning = undefined;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#scanning;
  }

  async #scan(): Promise<void> {
    this.#isDue = false;
    this.#scannedAt = performance.now();
    /** Aliases that were told before their roots. */
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
        if (!this.#take(page, waiting, askedAt, epoch)) {
          this.#hasScanned = true;
          return;
        }
        cursor = page.cursor;
        if (cursor !== undefined) await this.#pause((performance.now() - askedAt) * PAUSES_PER_PAGE);
      } while (cursor !== undefined && !this.#isClosed);
      this.#end(gaps, evicted);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#isDue = true;
    }
  }

  /** It came to the end, having begun after so many gaps and evictions. */
  #end(gaps: number, evicted: number): void {
    this.#hasScanned = true;
    if (gaps === this.#gaps) this.#evictedBefore = evicted;
  }

  /** One question, where a walk through nothing would take thousands. */
  async #isEmpty(): Promise<boolean> {
    for (const count of (await this.#options.store.counts()).values()) if (count > 0) return false;
    return true;
  }

  /** Returns false where the cache has no room for more. */
  #take(page: BindingPage, waiting: Map<string, Name[]>, askedAt: number, epoch: number): boolean {
    const { cache, isOutdated } = this.#options;
    for (const { binding, expiresInMs } of page.bindings) {
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
      if (isOutdated([name, root], askedAt)) continue;
      const key = storedKey(root);
      const entry = cache.peek(key);
      if (entry?.key === key) cache.join([name], entry);
      else waiting.set(key, [...(waiting.get(key) ?? []), name]);
    }
    return true;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(ms, SHORTEST_PAUSE_MS));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
