import type { Resolve } from '../health/addresses.ts';
import type { WorkerLoad } from '../process/ipc/messages.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { OpenStores, StoreEvents, Stores } from './stores.ts';

/** What a controller and a worker have in common where they are in one process. In two, each has its own. */
export interface SharedParts {
  readonly metrics: Metrics;
  readonly openStores: OpenStores;
  /** In place of the system's resolver. */
  readonly resolve?: Resolve | undefined;
  /** Given by the worker: its load now, which the controller otherwise knows from messages. */
  workerLoad?: () => WorkerLoad;
}

/** Opens the stores once for all who ask, and closes them after the last of these. */
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
