import type { LastSync } from '../core/view/last-sync.ts';
import type { CoordinatorEvents } from './coordinator-options.ts';

/** Reports which other gateways come and go, and when the store may have lost data, once for each change. */
export class PeerReporter {
  readonly #events: Pick<CoordinatorEvents, 'onPeer' | 'onStoreRenewed'>;
  readonly #own: string;
  #peers: ReadonlySet<string> = new Set();
  #storeGeneration = '';

  constructor(events: Pick<CoordinatorEvents, 'onPeer' | 'onStoreRenewed'>, own: string) {
    this.#events = events;
    this.#own = own;
  }

  report({
    reports,
    storeGeneration,
    isOpen,
  }: Pick<LastSync, 'reports' | 'storeGeneration' | 'isOpen'>): void {
    if (this.#storeGeneration !== '' && storeGeneration !== this.#storeGeneration)
      this.#events.onStoreRenewed?.();
    this.#storeGeneration = storeGeneration;
    // A store that has lost data forgets the gateways until they have synced again.
    if (!isOpen) return;
    const peers = new Set(reports.map(({ replica }) => replica).filter((replica) => replica !== this.#own));
    for (const peer of this.#peers) if (!peers.has(peer)) this.#events.onPeer?.(peer, 'gone');
    for (const peer of peers) if (!this.#peers.has(peer)) this.#events.onPeer?.(peer, 'came');
    this.#peers = peers;
  }
}
