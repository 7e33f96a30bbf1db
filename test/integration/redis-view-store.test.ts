import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { SyncRequest } from '../../src/core/view/view-store.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { poolKey } from '../../src/redis/keys.ts';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import { viewStoreClientContract } from '../contract/view-store-client.ts';
import { behavesLikeTheReference } from '../contract/view-store-model.ts';
import { sharedViewStoreContract } from '../contract/view-store-shared.ts';
import { letOpen, viewOf } from '../contract/view-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { viewStoreOn } from '../support/redis-view-stores.ts';
import { nextSeq, request } from '../support/view-store-requests.ts';

// The effect of an earlier release's sync on a registration.
const RENEWS_AS_BEFORE = `
local before = redis.call('HGET', KEYS[1], ARGV[1])
local e, rest = string.match(before, '^(%d+)(|.*)$')
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', e + 1) .. rest)
return before
`;

let redis: RedisConnection;

beforeAll(async () => {
  // Long time-outs, because these tests check the answers.
  redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
  await eventually(() => redis.ping());
});
afterAll(() => redis.close());

viewStoreClientContract('the Redis view store', async (times) => viewStoreOn(redis, times));
sharedViewStoreContract('the Redis view store', async (times) => viewStoreOn(redis, times));

describe('the Redis view store', () => {
  test('waits for a gateway of an earlier release until its registration ends, and writes entries that it can read', async () => {
    const times = { leaseMs: 60_000, joinMs: 0 };
    const keyPrefix = uniquePrefix();
    const viewStore = viewStoreOn(redis, times, { keyPrefix });
    const [one, two] = [viewStore.connect(), viewStore.connect()];
    const restored = await letOpen(viewStore, times, [
      [one, 'r1'],
      [two, 'r2'],
    ]);
    const view = viewOf(1, 'x');
    await one.propose({ replica: 'r1', base: '', view, events: [] });
    const adopted = request('r1', { epoch: 1, viewId: view.id, held: true, restored });
    await two.sync(request('r2', { held: false, restored }));
    redis.claims.define({ testRenew: RENEWS_AS_BEFORE });
    const registration = await redis.claims.run('testRenew', [poolKey(keyPrefix, 'crm', 'replicas')], ['r2']);

    expect(registration).toMatch(new RegExp(`^\\d+\\|\\d+\\|${restored}\\|$`));
    const next = (): SyncRequest => ({ ...adopted, seq: nextSeq() });
    expect(await one.sync(next())).toMatchObject({ effective: false });
    for (let third = 0; third < 3; third += 1) {
      await viewStore.passTime(times.leaseMs / 3);
      await one.sync(next());
    }
    expect(await one.sync(next())).toMatchObject({ effective: true, replicas: 1 });
    for (const client of [one, two]) await client.close();
  });

  test('answers any history like the reference', async () => {
    await behavesLikeTheReference((times) => viewStoreOn(redis, times), 150);
  });
});
