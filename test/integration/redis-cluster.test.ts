import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import { RedisGatewayRegistry } from '../../src/coordination/redis/gateway-registry.ts';
import { StoreUnavailable } from '../../src/core/ports.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { affinityStoreContract } from '../contract/affinity-store.ts';
import { at, uniquePrefix, user } from '../contract/affinity-store-support.ts';
import { viewStoreClientContract } from '../contract/view-store-client.ts';
import { sharedViewStoreContract } from '../contract/view-store-shared.ts';
import { raceClaims } from '../support/claim-race.ts';
import { eventually } from '../support/eventually.ts';
import { entryOf } from '../support/gateway-entry.ts';
import type { RedisCluster } from '../support/redis-cluster.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { redisCommand } from '../support/redis-command.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { fencingTokenOn, viewStoreOn } from '../support/redis-view-stores.ts';
import { request } from '../support/view-store-requests.ts';

const HOUR_MS = 3_600_000;
const TIMES = { leaseMs: 1_000, joinMs: 0 };

let cluster: RedisCluster;
let redis: RedisConnection;

beforeAll(async () => {
  cluster = await startCluster();
  redis = openRedis({ ...REDIS_TIMEOUTS, cluster: cluster.nodes, commandTimeoutMs: 5_000 });
  await eventually(() => redis.ping());
});
afterAll(async () => {
  await redis.close();
  await cluster.stop();
});

// Beside one Redis, as in redis-view-store.test.ts and affinity-redis.test.ts: there each of them runs in `npm test` too.
describe('the contracts', { tags: 'long' }, () => {
  viewStoreClientContract('the view store on a Redis Cluster', async (times) => viewStoreOn(redis, times));
  sharedViewStoreContract('the view store on a Redis Cluster', async (times) => viewStoreOn(redis, times));

  affinityStoreContract('the store on a Redis Cluster', async (idleLifetimeMs) => {
    const keyPrefix = uniquePrefix();
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs });
    return { store, fencingToken: await fencingTokenOn(redis, keyPrefix), close: () => store.close() };
  });
});

describe('a Redis Cluster', () => {
  test('gives two gateways that claim the same new agent one answer', async () => {
    const result = await raceClaims({ redis: { cluster: cluster.nodes }, pairs: 1_000 });

    expect(result).toMatchObject({ pairs: 1_000, splits: 0 });
    expect(result.contested).toBeGreaterThan(300);
  });

  test('keeps pools on all its masters', async () => {
    const keyPrefix = uniquePrefix();
    for (let i = 0; i < 20; i += 1) {
      const store = new RedisStore(redis, `pool${i}`, { keyPrefix, idleLifetimeMs: HOUR_MS });
      const fencingToken = await fencingTokenOn(redis, keyPrefix, `pool${i}`);
      expect((await store.claim([user('A')], at('a'), fencingToken)).made).toBe(true);
      await store.close();
    }

    for (const { port } of cluster.servers) expect(await viewStoresAt(port, keyPrefix)).toBeGreaterThan(0);
  });

  test('keeps the registry of gateways on one of them', async () => {
    const registry = new RedisGatewayRegistry(redis, { keyPrefix: uniquePrefix() });
    await registry.write(entryOf('one'));
    await registry.write(entryOf('two'));
    await registry.remove('one');
    expect(await registry.list()).toMatchObject([{ replica: 'two' }]);
  });

  test('that must confirm writes without having replicas is unavailable, and the error names the reason', async () => {
    const quick = openRedis({ ...REDIS_TIMEOUTS, cluster: cluster.nodes });
    const viewStore = viewStoreOn(quick, TIMES, { confirmedBy: 1 }).connect();
    await eventually(() =>
      expect(viewStore.sync(request('r1'))).rejects.toThrow(/0 of 1 replicas confirmed/),
    );
    await quick.close();
  });

  test('is reached through any remaining node, and a node that returns is used again', async () => {
    const [gone] = cluster.servers as [RedisCluster['servers'][number]];
    await gone.kill();
    const late = openRedis({ ...REDIS_TIMEOUTS, cluster: cluster.nodes });
    const viewStores = Array.from({ length: 20 }, (_, i) =>
      viewStoreOn(late, TIMES, { pool: `pool${i}` }).connect(),
    );
    const sync = (): Promise<PromiseSettledResult<unknown>[]> =>
      Promise.allSettled(viewStores.map((viewStore) => viewStore.sync(request('r1'))));
    // Pools on that node have to wait for it; the others are not affected.
    await eventually(async () => {
      const outcomes = await sync();
      expect(outcomes).toContainEqual(expect.objectContaining({ status: 'fulfilled' }));
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') continue;
        expect(outcome.reason).toBeInstanceOf(StoreUnavailable);
        expect(outcome.reason.message).toMatch(/the master of the slot is away|no answer within/);
      }
    });

    await gone.start();

    await eventually(async () => {
      for (const { status } of await sync()) expect(status).toBe('fulfilled');
    });
    for (const viewStore of viewStores) await viewStore.close();
    await late.close();
  });
});

async function viewStoresAt(port: number, keyPrefix: string): Promise<number> {
  const keys = await redisCommand(port, 'KEYS', `${keyPrefix}:*:ledger`);
  return Number(/^\*(\d+)/.exec(keys)?.[1]);
}
