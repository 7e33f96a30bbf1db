import type { EventLog, ViewStoreClient } from '../core/ports.ts';
import type { LoggedEvent, PoolEvent } from '../core/view/agreed-view.ts';

/** The event log of a pool, in its view store. */
export class PoolEventLog implements EventLog {
  readonly #viewStore: Pick<ViewStoreClient, 'events' | 'acts' | 'record'>;

  constructor(viewStore: Pick<ViewStoreClient, 'events' | 'acts' | 'record'>) {
    this.#viewStore = viewStore;
  }

  async newest(limit: number): Promise<readonly LoggedEvent[]> {
    const [views, acts] = await Promise.all([this.views(limit), this.acts(limit, 0)]);
    // A view follows from the act of the same moment.
    return [...views, ...acts].sort((a, b) => b.at - a.at).slice(0, limit);
  }

  views(limit: number): Promise<readonly LoggedEvent[]> {
    return this.#viewStore.events(limit);
  }

  acts(limit: number, skipped: number): Promise<readonly LoggedEvent[]> {
    return this.#viewStore.acts(limit, skipped);
  }

  record(acts: readonly PoolEvent[]): Promise<void> {
    return this.#viewStore.record(acts);
  }
}
