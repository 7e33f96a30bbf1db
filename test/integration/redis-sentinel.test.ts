import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ViewStoreClient } from '../../src/core/ports.ts';
import { StoreUnavailable } from '../../src/core/ports.ts';
import type { RedisConnection, RedisLink } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { letOpen, policyOf, TIMES } from '../contract/view-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { startFakeSentinel } from '../support/fake-sentinel.ts';
import { redisCommand } from '../support/redis-command.ts';
import type { RedisSentinel } from '../support/redis-sentinel.ts';
import { startSentinel } from '../support/redis-sentinel.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { viewStoreOn } from '../support/redis-view-stores.ts';
import { request } from '../support/view-store-requests.ts';

// The Sentinels need a second or two for a promotion; the client must find the new master right after it.
const FAILED_OVER_WITHIN_MS = 10_000;
// For tests that check answers, not times.
const PATIENT_MS = 1_500;

describe('a Redis with Sentinels', () => {
  let sentinel: RedisSentinel;
  let redis: RedisConnection;
  let viewStore: ViewStoreClient;
  let heard: string[];
  let down: Set<RedisLink>;

  beforeEach(async () => {
    sentinel = await startSentinel();
    down = new Set();
    redis = openRedis({
      ...REDIS_TIMEOUTS,
      sentinels: sentinel.sentinels,
      masterName: sentinel.masterName,
      onState: (link, state) => (state === 'down' ? down.add(link) : down.delete(link)),
    });
    viewStore = open(0);
    heard = [];
    viewStore.listen({
      onNews: (urgent) => heard.push(urgent ? 'urgent' : 'reports'),
      onSuspect: (instance) => heard.push(instance),
    });
    await eventually(() => redis.ping());
    await eventually(() => expect(heard).toEqual(['urgent']));
  });
  afterEach(async () => {
    await redis.close();
    await sentinel.stop();
  });

  function open(confirmedBy: number): ViewStoreClient {
    return viewStoreOn(redis, TIMES, { keyPrefix: 'gw', confirmedBy }).connect();
  }

  /** Checks that everything works again: both command connections, and the one for news. */
  async function expectAvailable(): Promise<void> {
    const other = open(0);
    await eventually(
      async () => {
        await redis.ping();
        await viewStore.sync(request('r1'));
        other.suspect('b');
        expect(heard.splice(0)).toContain('b');
      },
      { within: FAILED_OVER_WITHIN_MS },
    );
    await other.close();
  }

  test('is followed to the new master when the old one is killed', async () => {
    const { storeGeneration: generation } = await viewStore.sync(request('r1'));
    const old = await sentinel.killMaster();
    await expect(viewStore.sync(request('r1'))).rejects.toBeInstanceOf(StoreUnavailable);
    await sentinel.promoted(old);

    await expectAvailable();

    expect((await viewStore.sync(request('r1'))).storeGeneration).not.toBe(generation);
    expect(down).toEqual(new Set());
  });

  test('is followed to the new master when the old one hangs, and not back when it continues', {
    tags: 'long',
  }, async () => {
    const { storeGeneration: generation } = await viewStore.sync(request('r1'));
    const old = await sentinel.pauseMaster();
    await expect(viewStore.sync(request('r1'))).rejects.toBeInstanceOf(StoreUnavailable);
    await sentinel.promoted(old);
    await expectAvailable();
    const after = await viewStore.sync(request('r1'));
    expect(after.storeGeneration).not.toBe(generation);

    old.resume();

    await eventually(async () => expect(await redisCommand(old.port, 'ROLE')).toMatch(/slave/), {
      within: FAILED_OVER_WITHIN_MS,
    });
    await expectAvailable();
    expect((await viewStore.sync(request('r1'))).storeGeneration).toBe(after.storeGeneration);
  });

  test('a sync or a policy change that too few replicas confirm does not count', async () => {
    await redis.close();
    redis = openRedis({ ...REDIS_TIMEOUTS, ...sentinel, commandTimeoutMs: PATIENT_MS });
    await eventually(() => redis.ping());
    viewStore = open(0);
    const careful = open(1);
    // A replica that has just come online does not confirm at first.
    await eventually(() => careful.sync(request('r1')));
    await letOpen(viewStoreOn(redis, TIMES, { keyPrefix: 'gw' }), TIMES, [[careful, 'r1']]);
    expect(await careful.commitPolicy({ base: 0, policy: policyOf(1), events: [] })).toBe(true);
    const master = await sentinel.masterPort();
    const replica = sentinel.servers.find(({ port }) => port !== master);
    replica?.pause();

    await expect(careful.sync(request('r1'))).rejects.toThrow(
      /0 of 1 replicas confirmed in time \(affinity\.redis\.confirmedBy\)/,
    );
    expect((await viewStore.sync(request('r1'))).replicas).toBe(1);

    replica?.resume();
    await eventually(async () => expect((await careful.sync(request('r1'))).replicas).toBe(1));
    await careful.close();
  });
});

describe('a Sentinel that announces a new master while the client looks for the old one', () => {
  test('does not end the connections permanently', async () => {
    const server = await startRedis();
    const sentinel = await startFakeSentinel(server);
    const redis = openRedis({
      sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
      masterName: 'gw',
      commandTimeoutMs: PATIENT_MS,
      // Longer than the test holds the Sentinel.
      connectTimeoutMs: 20_000,
    });
    onTestFinished(async () => {
      await redis.close();
      await sentinel.stop();
      await server.stop();
    });
    await eventually(() => redis.ping());
    sentinel.hold();
    await server.kill();
    await eventually(() => expect(sentinel.asking).toBe(3));

    sentinel.tellOfSwitch();
    await eventually(() => expect(sentinel.subscribers).toBe(0));
    sentinel.answer();
    await server.start();

    await eventually(() => redis.ping());
  });
});
