import { join } from 'node:path';
import { RedisStore } from '../affinity/redis/store.ts';
import type { Config } from '../config/schema.ts';
import { LocalViewStore } from '../coordination/local-view-store.ts';
import { RedisGatewayRegistry } from '../coordination/redis/gateway-registry.ts';
import { RedisViewStore } from '../coordination/redis/view-store.ts';
import type { GatewayRegistry } from '../core/gateways.ts';
import type { AffinityStore, ViewStoreClient } from '../core/ports.ts';
import type { Calls } from '../process/ipc/calls.ts';
import { EmbeddedStoreClient } from '../process/ipc/embedded-store-client.ts';
import type { RedisLink } from '../redis/connection.ts';
import { openRedis } from '../redis/connection.ts';
import { redisOptions } from './redis-options.ts';

export interface Stores {
  /** Other gateways may use the same stores. */
  readonly isShared: boolean;
  open(pool: string): AffinityStore;
  viewStore(pool: string): ViewStoreClient;
  /** Where the gateways of these stores are listed; `undefined` if no other gateway can use them. */
  readonly gateways: GatewayRegistry | undefined;
  /** What the store is, with its version. Rejects with `StoreUnavailable`. */
  version(): Promise<string>;
  close(): Promise<void>;
}

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

export interface StoreEvents {
  /** The connection for commands was lost. */
  onDown(detail: string): void;
  /** The connection for news of moves was lost or restored. While it is down, cached bindings are not trusted. */
  onHearing(state: 'up' | 'down', detail: string): void;
}

export type OpenStores = typeof openStores;

/** The stores of a process that holds a controller and a worker. */
export interface SharedStores {
  readonly openStores: OpenStores;
}

// The share of a lease that a new gateway waits for its first lease. It is longer than the time whose writes a Redis
// may lose on a failover.
const JOIN_SHARE = 1 / 3;

/**
 * Opens the configured stores. Waits for a first connection to Redis, up to `connectTimeout`.
 *
 * @param mayBeAway do not fail if the embedded store cannot be opened, because workers still know the agents
 */
export async function openStores(
  { affinity: config, coordination, admin }: Config,
  events: StoreEvents,
  mayBeAway = false,
): Promise<Stores> {
  const { idleLifetime: idleLifetimeMs, maxBindings, keyPrefix, redis } = config;
  if (config.store === 'redis' && redis !== undefined) {
    let connected: () => void = () => {};
    const firstContact = new Promise<void>((resolve) => {
      connected = resolve;
      setTimeout(resolve, redis.connectTimeout).unref();
    });
    const awaited = new Set<RedisLink>(['claims', 'ledger']);
    const connection = openRedis({
      ...redisOptions(redis),
      // Coordinators wait only for a part of it, but they learn from later answers too.
      viewStoreTimeoutMs: coordination.lease,
      onState: (link, state, detail) => {
        if (link === 'hearing') events.onHearing(state, detail);
        else if (state === 'up') awaited.delete(link);
        // Coordinators notice the loss of `ledger`, the view store's connection, by their failed requests.
        else if (link === 'claims') events.onDown(detail);
        if (awaited.size === 0) connected();
      },
    });
    // Commands do not wait for a connection: without this wait, the first ones would find Redis away.
    await firstContact;
    const { lease: leaseMs } = coordination;
    return {
      isShared: true,
      open: (pool) => new RedisStore(connection, pool, { keyPrefix, idleLifetimeMs, maxBindings }),
      viewStore: (pool) =>
        new RedisViewStore(connection, pool, {
          keyPrefix,
          leaseMs,
          joinMs: leaseMs * JOIN_SHARE,
          confirmedBy: redis.confirmedBy,
          keepActsMs: admin.keepActs,
        }),
      gateways: new RedisGatewayRegistry(connection, { keyPrefix }),
      version: () => connection.listings.version(),
      close: () => connection.close(),
    };
  }
  // Loaded on use, because it brings a native library that gateways with Redis do not need.
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
    gateways: undefined,
    version: async () => 'embedded',
    close: () => embedded.close(),
  };
}
