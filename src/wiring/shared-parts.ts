import type { Resolve } from '../health/addresses.ts';
import type { WorkerLoad } from '../process/ipc/messages.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { StoreEvents, Stores } from './opened-stores.ts';
import type { OpenStores } from './stores.ts';

/** What a controller and a worker share in a gateway of a single process. In separate processes each has its own. */
export interface SharedParts {
  readonly metrics: Metrics;
  readonly openStores: OpenStores;
  /** Replaces the system's resolver. */
  readonly resolve?: Resolve | undefined;
  /** Set by the worker: reads its current load. A worker in another process sends it in messages. */
  workerLoad?: () => WorkerLoad;
}

/** Opens the stores at the first call and shares them with later callers. Closes them when the last caller closes. */
export function openedOnce(open: OpenStores): OpenStores {
  const users = new Set<StoreEvents>();
  let opened: Promise<Stores> | undefined;
  let lastHearing: Parameters<StoreEvents['onHearing']> | undefined;
  return async (config, events, mayBeAway) => {
    users.add(events);
    if (lastHearing !== undefined) events.onHearing(...lastHearing);
    opened ??= open(
      config,
      {
        onDown: (detail) => {
          for (const user of users) user.onDown(detail);
        },
        onHearing: (...news) => {
          lastHearing = news;
          for (const user of users) user.onHearing(...news);
        },
      },
      mayBeAway,
    );
    const stores = await opened;
    return {
      ...stores,
      close: async () => {
        users.delete(events);
        if (users.size === 0) await stores.close();
      },
    };
  };
}
