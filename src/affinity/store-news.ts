import type { Name } from '../core/identity.ts';
import type { AffinityStore, HeardLogOff } from '../core/ports.ts';
import type { BindingCache } from './binding-cache.ts';
import { RecentInvalidations } from './recent-invalidations.ts';
import type { Trust } from './trust.ts';

export interface StoreNewsOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  readonly trust: Trust;
  readonly onLoggedOff: (root: Name, logOff: HeardLogOff) => void;
  /** Messages may have been missed until now. */
  readonly onGap: () => void;
}

/** Takes the store's messages about what other gateways do, and knows since when none was missed. */
export class StoreNews {
  readonly invalidations = new RecentInvalidations();
  readonly #trust: Trust;
  readonly #cache: BindingCache;
  readonly #onGap: () => void;

  constructor({ cache, trust, onGap }: Pick<StoreNewsOptions, 'cache' | 'trust' | 'onGap'>) {
    this.#cache = cache;
    this.#trust = trust;
    this.#onGap = onGap;
  }

  listen({ store, onLoggedOff }: Pick<StoreNewsOptions, 'store' | 'onLoggedOff'>): void {
    store.listen({
      onBound: (binding, aliases, epoch, isNew) =>
        this.#cache.announce(binding, aliases, epoch, performance.now(), isNew),
      onMoved: (names) => this.onMoved(names),
      onLoggedOff,
      onGap: () => {
        this.#trust.since = performance.now();
        this.#onGap();
      },
    });
  }

  /**
   * While the store's connection brings no messages, the cache is not trusted. A connection that is up is not enough:
   * the store tells when it receives messages again.
   */
  hearing(state: 'up' | 'down'): void {
    if (state === 'up') return;
    this.#trust.since = Number.POSITIVE_INFINITY;
    this.#onGap();
  }

  /** These names no longer mean the same. */
  onMoved(names: readonly Name[]): void {
    for (const name of names) this.#cache.forget(name);
    this.invalidations.add(names, performance.now());
  }
}
