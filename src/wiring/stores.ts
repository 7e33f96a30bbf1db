import { join } from 'node:path';
import { RedisStore } from '../affinity/redis/store.ts';
import type { Config } from '../config/schema.ts';
import { LocalViewStore } from '../coordination/local-view-store.ts';
import { RedisViewStore } from '../coordination/redis/view-store.ts';
import type { AffinityStore, ViewStoreClient } from '../core/ports.ts';
import type { Calls } from '../process/ipc/calls.ts';
import { EmbeddedStoreClient } from '../process/ipc/embedded-store-client.ts';
import type { RedisLink } from '../redis/connection.ts';
import { openRedis } from '../redis/connection.ts';
import { redisOptions } from './redis-options.ts';

export interface Stores {
  /** Several gateways may use them. */
  readonly isShared: boolean;
  open(pool: string): AffinityStore;
  viewStore(pool: string): ViewStoreClient;
  close(): Promise<void>;
}

/** A worker's: only one process can use the embedded store, and that is the controller. */
export async function openWorkerStores(
  config: Config,
  events: StoreEvents,
  calls: Calls,
  open: OpenStores = openStores,
): Promise<WorkerStores> {
  if (config.affinity.store === 'redis') {
    const stores = await open(config, events);
    return { open: (pool) => stores.open(pool), remote: new Map(), close: () => stores.close() };
  }
  const remote = new Map<string, EmbeddedStoreClient>();
  return {
    remote,
    open: (pool) => {
      const store = new EmbeddedStoreClient(pool, calls);
      remote.set(pool, store);
      return store;
    },
    close: async () => {},
  };
}

export interface WorkerStores {
  open(pool: string): AffinityStore;
  /** By pool; none where the store is shared. */
  readonly remote: ReadonlyMap<string, EmbeddedStoreClient>;
  close(): Promise<void>;
}

export interface StoreEvents {
  /** The connection for commands broke. */
  onDown(detail: string): void;
  /** The connection for news of moves broke or came back. While it is down, cached bindings are looked up again. */
  onHearing(state: 'up' | 'down', detail: string): void;
}

export type OpenStores = typeof openStores;

// A gateway that joins waits for its first lease for longer than a Redis may lose when it fails over.
const JOIN_SHARE = 1 / 3;

/**
 * Opens the store that the configuration asks for. Waits for a Redis, but not for long.
 *
 * @param mayBeAway also the embedded store: others than this process know the agents
 */
export async function openStores(
  { affinity: config, coordination }: Config,
  events: StoreEvents,
  mayBeAway = false,
): Promise<Stores> {
  const { idleLifetime, keyPrefix, redis } = config;
  if (config.store === 'redis' && redis !== undefined) {
    let connected: () => void = () => {};
    const firstContact = new Promise<void>((resolve) => {
      connected = resolve;
      setTimeout(resolve, redis.connectTimeout).unref();
    });
    const awaited = new Set<RedisLink>(['claims', 'ledger']);
    const connection = openRedis({
      ...redisOptions(redis),
      // The coordinators are patient for a part of it; what comes after that they learn from.
      viewStoreTimeoutMs: coordination.lease,
      onState: (link, state, detail) => {
        if (link === 'hearing') events.onHearing(state, detail);
        else if (state === 'up') awaited.delete(link);
        // Of the other the coordinators tell, by what comes of it.
        else if (link === 'claims') events.onDown(detail);
        if (awaited.size === 0) connected();
      },
    });
    // Commands do not wait for a connection, so a store that is opened now would find Redis away.
    await firstContact;
    const { lease: leaseMs } = coordination;
    return {
      isShared: true,
      open: (pool) => new RedisStore(connection, pool, { keyPrefix, idleLifetimeMs: idleLifetime }),
      viewStore: (pool) =>
        new RedisViewStore(connection, pool, {
          keyPrefix,
          leaseMs,
          joinMs: leaseMs * JOIN_SHARE,
          confirmedBy: redis.confirmedBy,
        }),
      close: () => connection.close(),
    };
  }
  // Loaded where it is used: it brings a native library that gateways on Redis do not need.
  const { openEmbedded } = await import('../affinity/embedded/store.ts');
  const embedded = openEmbedded({ directory: config.stateDir, mayBeAway });
  return {
    isShared: false,
    open: (pool) => embedded.store(pool, { idleLifetimeMs: idleLifetime }),
    viewStore: (pool) =>
      new LocalViewStore({
        leaseMs: 0,
        joinMs: 0,
        file: join(config.stateDir, `agreement-${pool}.json`),
        requireStore: () => embedded.requireRoom(),
      }),
    close: () => embedded.close(),
  };
}
