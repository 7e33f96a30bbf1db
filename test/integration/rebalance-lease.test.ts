import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { Binding, Claim } from '../../src/core/binding.ts';
import type { Rebalance } from '../../src/core/rebalance.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { at, HOUR_MS, uniquePrefix, user } from '../contract/affinity-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { viewStoreOfLastRelease } from '../support/last-release.ts';
import { redisCommand } from '../support/redis-command.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { fencingTokenOn, viewStoreOn } from '../support/redis-view-stores.ts';
import { request } from '../support/view-store-requests.ts';

const POOL = 'crm';
const port = Number(new URL(inject('redisUrl')).port);
const LEASE_MS = 60_000;
const LONGER_MS = 600_000;
/** By its own lease, this gateway would move every agent at once. */
const TO_B: Rebalance = { weights: { a: 1, b: 1_000_000 }, heardMs: 0, leaseMs: LEASE_MS };

describe('a log-on after a log-off, in a pool that is rebalanced', () => {
  let redis: RedisConnection;
  let keyPrefix: string;
  let store: RedisStore;
  let fencingToken: string;
  let left: Binding;

  beforeEach(async () => {
    redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    await eventually(() => redis.ping());
    keyPrefix = uniquePrefix();
    store = new RedisStore(redis, POOL, { keyPrefix, idleLifetimeMs: HOUR_MS });
    fencingToken = await fencingTokenOn(redis, keyPrefix, POOL);
    await sync('r1', LEASE_MS);
    const { binding } = await store.claim([user('A')], at('a'), fencingToken);
    left = (await store.logOff(binding, { graceMs: HOUR_MS / 2, ageMs: 0 })) as Binding;
  });
  afterEach(async () => {
    await store.close();
    await redis.close();
  });

  /** A gateway with this lease registers. */
  const sync = async (replica: string, leaseMs: number, connection = redis): Promise<void> => {
    const times = { leaseMs, joinMs: 0 };
    const viewStore = viewStoreOn(connection, times, { keyPrefix, pool: POOL });
    await viewStore.connect().sync(request(replica));
  };
  const logOn = (): Promise<Claim> =>
    store.claim([user('A')], at('b'), fencingToken, undefined, undefined, TO_B);

  test('moves the agent if no gateway has a longer lease', async () => {
    await sync('r2', LEASE_MS / 2);
    expect(await logOn()).toMatchObject({ made: true, binding: { instance: 'b' } });
  });

  test('moves no agent while a gateway with a longer lease may not have heard of the log-off', async () => {
    await sync('r2', LONGER_MS);
    // Also after the next sync of this gateway.
    await sync('r1', LEASE_MS);
    expect(await logOn()).toMatchObject({ made: false, binding: left });
  });

  test('moves no agent while a gateway of the last release has a longer lease', async () => {
    const other = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    try {
      await eventually(() => other.ping());
      await sync('old', LONGER_MS, viewStoreOfLastRelease(other));
      expect(await logOn()).toMatchObject({ made: false, binding: left });
    } finally {
      await other.close();
    }
  });

  test('moves no agent if the longest lease is not known', async () => {
    await redisCommand(port, 'HDEL', `${keyPrefix}:{${POOL}}:ledger`, 'lease');
    expect(await logOn()).toMatchObject({ made: false, binding: left });
  });
});
