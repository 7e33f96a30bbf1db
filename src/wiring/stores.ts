import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { LocalViewStore } from '../coordination/local-view-store.ts';
import type { AffinityStore } from '../core/ports.ts';
import type { Calls } from '../process/ipc/calls.ts';
import { EmbeddedStoreClient } from '../process/ipc/embedded-store-client.ts';
import type { StoreEvents, Stores } from './opened-stores.ts';

/** The stores of a worker. Only one process can open the embedded store, so workers reach it through the controller. */
export async function openWorkerStores(
  config: Config,
  events: StoreEvents,
  calls: Calls,
  shared?: SharedStores,
): Promise<WorkerStores> {
  if (config.affinity.store === 'redis') {
    const stores = await (shared?.openStores ?? openStores)(config, events);
    return { open: (pool) => stores.open(pool), remote: new Map(), close: () => stores.close() };
  }
  const remote = new Map<string, EmbeddedStoreClient>();
  return {
    remote,
    open: (pool) => {
      const store = new EmbeddedStoreClient(pool, calls, shared !== undefined);
      remote.set(pool, store);
      return store;
    },
    close: async () => {},
  };
}

export interface WorkerStores {
  open(pool: string): AffinityStore;
  /** By pool; empty if the store is shared. */
  readonly remote: ReadonlyMap<string, EmbeddedStoreClient>;
  close(): Promise<void>;
}

export type OpenStores = typeof openStores;

/** The stores of a process that holds a controller and a worker. */
export interface SharedStores {
  readonly openStores: OpenStores;
}

/**
 * Opens the configured stores. Waits for a first connection to Redis, up to `connectTimeout`. Loads only the code of the
 * configured kind: each kind brings a large library.
 *
 * @param mayBeAway do not fail if the embedded store cannot be opened, because workers still know the agents
 */
export async function openStores(
  { affinity: config, coordination, admin }: Config,
  events: StoreEvents,
  mayBeAway = false,
): Promise<Stores> {
  const { idleLifetime: idleLifetimeMs, maxBindings, redis } = config;
  if (config.store === 'redis' && redis !== undefined) {
    const { openRedisStores } = await import('./redis-stores.ts');
    return openRedisStores(config, redis, coordination, admin, events);
  }
  const { openEmbedded } = await import('../affinity/embedded/store.ts');
  const embedded = openEmbedded({ directory: config.stateDir, mayBeAway });
  return {
    isShared: false,
    open: (pool) => embedded.store(pool, { idleLifetimeMs, maxBindings }),
    viewStore: (pool) =>
      new LocalViewStore({
        leaseMs: 0,
        joinMs: 0,
        keepActsMs: admin.keepActs,
        file: join(config.stateDir, `agreement-${pool}.json`),
        requireStore: () => embedded.requireRoom(),
      }),
    together: (begin) => embedded.together(begin),
    gateways: undefined,
    version: async () => 'embedded',
    close: () => embedded.close(),
  };
}
