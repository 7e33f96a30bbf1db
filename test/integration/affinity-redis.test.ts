import { inject } from 'vitest';
import type { RedisConnection } from '../../src/affinity/redis-connection.ts';
import { openRedis } from '../../src/affinity/redis-connection.ts';
import { affinityStoreContract, uniquePrefix } from '../contract/affinity-store.ts';
import { eventually } from '../support/eventually.ts';

async function connect(): Promise<RedisConnection> {
  const redis = openRedis({ url: inject('redisUrl') });
  await eventually(() => redis.ping());
  return redis;
}

affinityStoreContract('the Redis store', async (idleLifetimeMs) => {
  const redis = await connect();
  const store = redis.store('crm', { keyPrefix: uniquePrefix(), idleLifetimeMs });
  return {
    store,
    close: async () => {
      await store.close();
      await redis.close();
    },
  };
});
