import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { StoreFull, StoreUnavailable } from '../../src/core/ports.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { at, session, user } from '../contract/affinity-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { setFencingToken } from '../support/fencing-token.ts';
import { redisCommand } from '../support/redis-command.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

// The command timeout is 100 ms.
const SETTLED_WITHIN_MS = 150;

/**
 * Fails unless it has settled after a timer of 150 ms. Both use the same clock: in
 * a process without processor time both are late, and the shorter one is still
 * first.
 */
async function expectSettledInTime(outcome: Promise<unknown>): Promise<void> {
  const late = new Promise<string>((resolve) => {
    setTimeout(() => {
      // A command that has timed out reads its socket once more before it fails.
      setImmediate(() => setImmediate(() => setImmediate(() => resolve('late'))));
    }, SETTLED_WITHIN_MS);
  });
  expect(await Promise.race([outcome.then(() => 'settled'), late])).toBe('settled');
}

describe('the Redis store while Redis is away', () => {
  let server: RedisServer;
  let redis: RedisConnection;
  let store: AffinityStore;
  let states: string[];
  let fencingToken: string;

  beforeEach(async () => {
    server = await startRedis();
    states = [];
    redis = openRedis({
      ...REDIS_TIMEOUTS,
      url: server.url,
      onState: (link, state) => link === 'claims' && states.push(state),
    });
    store = new RedisStore(redis, 'crm', { keyPrefix: 'gw', idleLifetimeMs: 3_600_000 });
    await eventually(() => redis.ping());
    fencingToken = await setFencingToken(server.port, 'gw');
  });
  afterEach(async () => {
    await redis.close();
    server.resume();
    await server.stop();
  });

  /** All operations at once: none may hang, and all must fail in the same way. */
  async function expectUnavailable(): Promise<void> {
    const binding = { root: user('A'), ...at('a'), generation: 1 };
    const operations = [
      store.claim([user('A'), session('1')], at('a'), fencingToken),
      store.rebind(binding, at('b'), fencingToken),
      store.renew([user('A')]),
      // The server may carry them out later, one after the other.
      store.release({ ...binding, generation: 2 }, fencingToken),
      store.restore([{ binding, aliases: [], epoch: 1 }]),
      store.counts(),
      redis.ping(),
    ];
    // The list is not urgent, so its limit is longer.
    const listing = store.list({});
    const settled = Promise.allSettled(operations);
    await expectSettledInTime(settled);
    for (const outcome of [...(await settled), ...(await Promise.allSettled([listing]))]) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StoreUnavailable) });
    }
  }

  /**
   * Claims with a fencing token as the view store would issue it when Redis is back. Returns where the agent is: the
   * server may have carried out some of the commands that timed out.
   */
  function expectAvailable(): Promise<string> {
    return eventually(async () => {
      fencingToken = await setFencingToken(server.port, 'gw');
      const { instance } = (await store.claim([user('A')], at('a'), fencingToken)).binding;
      expect(['a', 'b']).toContain(instance);
      return instance;
    });
  }

  test('a process opens its stores while Redis is down, and uses them when it is up', async () => {
    await redis.close();
    await server.kill();
    states = [];
    redis = openRedis({
      ...REDIS_TIMEOUTS,
      url: server.url,
      onState: (link, state, detail) => link === 'claims' && states.push(`${state}: ${detail}`),
    });
    store = new RedisStore(redis, 'crm', { keyPrefix: 'gw', idleLifetimeMs: 3_600_000 });
    await expectUnavailable();
    await eventually(() => expect(states).toEqual([expect.stringMatching(/^down: .*ECONNREFUSED/)]));

    await server.start();

    await expectAvailable();
    expect(states.at(-1)).toBe('up: connected');
  });

  test('a killed Redis fails every call at once, and is used again after its restart', async () => {
    await store.claim([user('A')], at('a'), fencingToken);
    await server.kill();
    await eventually(() => expect(states).toEqual(['up', 'down']));
    await expectUnavailable();

    await server.start();

    await expectAvailable();
  });

  test('pending calls settle when Redis is killed', async () => {
    server.pause();
    const waiting = Promise.allSettled([store.claim([user('A')], at('a'), fencingToken), store.counts()]);
    await server.kill();

    for (const outcome of await waiting) expect(outcome.status).toBe('rejected');
  });

  test('a Redis that hangs fails every call within the limit, and is used again when it continues', async () => {
    await store.claim([user('A')], at('a'), fencingToken);
    server.pause();
    for (let round = 0; round < 6; round += 1) await expectUnavailable();

    server.resume();

    const instance = await expectAvailable();
    expect(await store.counts()).toEqual(new Map([[instance, 1]]));
  });

  test('a listener gets a gap event after its connection was lost and restored', async () => {
    const heard: string[] = [];
    store.listen({
      onBound: () => {},
      onMoved: (names) => heard.push(...names.map((name) => name.value)),
      onLoggedOff: () => {},
      onGap: () => heard.push('(gap)'),
    });
    const first = await store.claim([user('A')], at('a'), fencingToken);
    await eventually(async () => {
      const { binding } = await store.claim([user('B')], at('a'), fencingToken);
      await store.release(binding, fencingToken);
      expect(heard).toContain('B');
    });
    heard.length = 0;

    await redisCommand(server.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');

    await eventually(() => expect(heard).toContain('(gap)'));
    await store.release(first.binding, fencingToken);
    await eventually(() => expect(heard).toContain('A'));
  });

  test('a listener detects a dead silent connection', async () => {
    let gaps = 0;
    store.listen({ onBound: () => {}, onMoved: () => {}, onLoggedOff: () => {}, onGap: () => (gaps += 1) });
    await store.claim([user('A')], at('a'), fencingToken);
    server.pause();
    // Longer than the heartbeat and its timeout, which this test is about.
    const pausedAt = performance.now();
    await eventually(() => expect(performance.now() - pausedAt).toBeGreaterThan(1_500));
    gaps = 0;

    server.resume();

    await eventually(() => expect(gaps).toBeGreaterThan(0));
  });

  test('a demoted master is unavailable, and used again once it is master', async () => {
    await store.claim([user('A')], at('a'), fencingToken);
    await redisCommand(server.port, 'REPLICAOF', '127.0.0.1', '1');
    const refused = Promise.allSettled([store.claim([user('B')], at('a'), fencingToken)]);
    await expectSettledInTime(refused);
    expect(await refused).toMatchObject([{ status: 'rejected', reason: expect.any(StoreUnavailable) }]);

    await redisCommand(server.port, 'REPLICAOF', 'NO', 'ONE');

    await expectAvailable();
  });

  test('a Redis without free memory takes no new agent, and takes them again when it has some', async () => {
    await redisCommand(server.port, 'CONFIG', 'SET', 'maxmemory', '1');

    await expect(store.claim([user('A')], at('a'), fencingToken)).rejects.toBeInstanceOf(StoreFull);
    await redisCommand(server.port, 'CONFIG', 'SET', 'maxmemory', '0');
    await expectAvailable();
  });
});
