import { RedisStore } from '../affinity/redis/store.ts';
import type { Config, RedisConfig } from '../config/schema.ts';
import { RedisGatewayRegistry } from '../coordination/redis/gateway-registry.ts';
import { RedisViewStore } from '../coordination/redis/view-store.ts';
import type { RedisLink } from '../redis/connection.ts';
import { openRedis } from '../redis/connection.ts';
import type { StoreEvents, Stores } from './opened-stores.ts';
import { redisOptions } from './redis-options.ts';

// The share of a lease that a new gateway waits for its first lease. It is longer than the time whose writes a Redis
// may lose on a failover.
const JOIN_SHARE = 1 / 3;

/** Opens the stores in Redis. Waits for a first connection, up to `connectTimeout`. */
export async function openRedisStores(
  { idleLifetime: idleLifetimeMs, maxBindings, keyPrefix }: Config['affinity'],
  redis: RedisConfig,
  coordination: Config['coordination'],
  admin: Config['admin'],
  events: StoreEvents,
): Promise<Stores> {
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
