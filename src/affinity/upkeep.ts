import type { InstanceId } from '../core/instance.ts';
import type { AffinityStore } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { CacheWarmer } from './cache-warmer.ts';
import type { StoreMonitor } from './store-monitor.ts';
import type { WriteBack } from './write-back.ts';

export interface UpkeepOptions {
  readonly store: AffinityStore;
  readonly monitor: StoreMonitor;
  readonly writer: WriteBack;
  readonly warmer: CacheWarmer;
}

/** What is done with the store about once a second, whether or not requests come. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  #counts: ReadonlyMap<InstanceId, number> | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** Live bindings per instance, about a second old, or older if the store does not answer; `undefined` at first. */
  get counts(): ReadonlyMap<InstanceId, number> | undefined {
    return this.#counts;
  }

  /**
   * Refreshes the counts, writes back what was decided during a short failure, and continues to warm the cache. Never
   * rejects.
   */
  refreshCounts(): Promise<void> {
    this.#refreshing ??= this.#tend(true).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** {@link refreshCounts} for a process that does not need the counts; to be called while the store answers. */
  tend(): Promise<void> {
    // Detects that the store answers again even if no agent sends a request.
    return this.#tend(this.#options.monitor.trouble !== undefined);
  }

  async #tend(counts: boolean): Promise<void> {
    const { store, monitor, writer, warmer } = this.#options;
    try {
      if (writer.isDue) await writer.writeQueue();
      if (counts) this.#counts = await monitor.watch(store.counts());
      warmer.tick();
    } catch (error) {
      // Keep what was last known; the next call tries again.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }
}
