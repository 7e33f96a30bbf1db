import { afterEach, describe, expect, inject, test } from 'vitest';
import { bucketOf } from '../../src/affinity/packing.ts';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { Name } from '../../src/core/identity.ts';
import type { AffinityStore, KnownBinding } from '../../src/core/ports.ts';
import { StaleView } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { evidenceContract } from '../contract/affinity-evidence.ts';
import { behavesLikeTheModel, FEW, listsLikeTheModel } from '../contract/affinity-histories.ts';
import { affinityLimitsContract } from '../contract/affinity-limits.ts';
import { affinityStoreContract } from '../contract/affinity-store.ts';
import type { OpenStore } from '../contract/affinity-store-support.ts';
import { at, inOneBucket, session, uniquePrefix, user } from '../contract/affinity-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { openViewStore, setFencingToken } from '../support/fencing-token.ts';
import { redisCommand } from '../support/redis-command.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const HOUR_MS = 3_600_000;
const port = Number(new URL(inject('redisUrl')).port);

/** Long time-outs, because these tests check the answers; test/integration/affinity-redis-away.test.ts checks the limits. */
async function connect(): Promise<RedisConnection> {
  const redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
  await eventually(() => redis.ping());
  return redis;
}

async function openStore(idleLifetimeMs: number, maxBindings = 1_000_000): Promise<OpenStore> {
  const redis = await connect();
  const keyPrefix = uniquePrefix();
  const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs, maxBindings });
  // The normal state: no gateway has bindings to write back.
  await openViewStore(port, keyPrefix);
  return {
    store,
    fencingToken: await setFencingToken(port, keyPrefix),
    close: async () => {
      await store.close();
      await redis.close();
    },
  };
}

affinityStoreContract('the Redis store', openStore);
evidenceContract('the Redis store', openStore);
affinityLimitsContract('the Redis store', (maxBindings) => openStore(HOUR_MS, maxBindings));

describe('the Redis store', () => {
  const connections: RedisConnection[] = [];

  async function connected(): Promise<RedisConnection> {
    const redis = await connect();
    connections.push(redis);
    return redis;
  }

  async function openPool(
    redis: RedisConnection,
    maxBindings = 1_000_000,
  ): Promise<{ store: AffinityStore; fencingToken: string; keyPrefix: string }> {
    const keyPrefix = uniquePrefix();
    await openViewStore(port, keyPrefix);
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS, maxBindings });
    return { store, fencingToken: await setFencingToken(port, keyPrefix), keyPrefix };
  }

  afterEach(async () => {
    for (const redis of connections.splice(0)) await redis.close();
  });

  test('behaves like the model for any history', async () => {
    const redis = await connected();
    await behavesLikeTheModel(() => openPool(redis), 100);
  });

  test('behaves like the model where names give way to each other', async () => {
    const redis = await connected();
    await behavesLikeTheModel((maxBindings) => openPool(redis, maxBindings), 60, FEW);
  });

  test('lists like the model after any history', async () => {
    const redis = await connected();
    await listsLikeTheModel(() => openPool(redis), 4);
  });

  test('never gives one agent two placements, whatever two gateways propose simultaneously', async () => {
    const keyPrefix = uniquePrefix();
    const fencingToken = await setFencingToken(port, keyPrefix);
    const stores = [await connected(), await connected()].map(
      (redis) => new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS }),
    );
    const agents = Array.from({ length: 200 }, (_, i) => i);

    const claims = await Promise.all(
      agents.flatMap((i) =>
        [
          [user(`U${i}`), session(`s${i}`)],
          [user(`U${i}`), session(`t${i}`)],
          [user(`U${i}`)],
          [session(`s${i}`)],
        ].map(async (names, j) => {
          const store = stores[j % 2];
          return {
            i,
            names,
            claim: await store?.claim(names, at(`i${Math.floor(Math.random() * 5)}`), fencingToken),
          };
        }),
      ),
    );

    for (const i of agents) {
      const ofUser = claims.filter((one) => one.i === i && one.names[0]?.kind === 'user');
      expect(new Set(ofUser.map(({ claim }) => claim?.binding.instance)).size).toBe(1);
      const settled = await stores[0]?.claim([session(`s${i}`)], at('other'), fencingToken);
      expect(settled?.binding.root).toEqual(user(`U${i}`));
      expect(settled?.binding.instance).toBe(ofUser[0]?.claim?.binding.instance);
    }
    const total = [...((await stores[0]?.counts()) ?? [])].reduce((sum, [, count]) => sum + count, 0);
    expect(total).toBe(200);
  });

  /** The news for a listener of the store from now on, each as one line. */
  async function hear(store: AffinityStore, fencingToken: string): Promise<string[]> {
    const heard: string[] = [];
    const of = (names: readonly Name[]): string => names.map((name) => name.value).join(',');
    store.listen({
      onBound: ({ root, instance, generation }, aliases, epoch) =>
        heard.push(`${root.value} at ${instance} #${generation} in ${epoch}: ${of(aliases)}`),
      onMoved: (names) => heard.push(`forget ${of(names)}`),
      onLoggedOff: ({ value }, { generation }) => heard.push(`${value} logged off #${generation}`),
      onGap: () => heard.push('gap'),
    });
    await eventually(() => expect(heard).toEqual(['gap']));
    // Also checks that no news of the claim came before, so that the order of the rest is certain.
    await store.claim([user('PROBE')], at('p'), fencingToken);
    await eventually(() => expect(heard).toHaveLength(2));
    heard.length = 0;
    return heard;
  }

  test('sends the other gateways news of bindings, moves and re-linked names, in stored form', async () => {
    const keyPrefix = uniquePrefix();
    const [ours, theirs] = [await connected(), await connected()].map(
      (redis) => new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS }),
    ) as [RedisStore, RedisStore];
    const fencingToken = await setFencingToken(port, keyPrefix, { epoch: 7 });
    const heard = await hear(theirs, fencingToken);

    const { binding } = await ours.claim([user('MILLER'), session('s0')], at('a'), fencingToken);
    await ours.claim([user('MILLER'), session('s1')], at('b'), fencingToken);
    await ours.rebind(binding, at('b'), fencingToken);
    await ours.claim([session('s2')], at('c'), fencingToken);
    await ours.claim([user('MILLER'), session('s2')], at('c'), fencingToken);
    await ours.claim([session('s3')], at('c'), fencingToken);
    const smith = await ours.claim([user('SMITH'), session('s3')], at('a'), fencingToken);
    await ours.release(smith.binding, fencingToken);

    const [s0, s1, s2, s3] = ['s0', 's1', 's2', 's3'].map((value) => storedForm(session(value)).value);
    await eventually(() =>
      expect(heard).toEqual([
        `MILLER at a #1 in 7: ${s0}`,
        `MILLER at a #1 in 7: ${s1}`,
        'MILLER at b #2 in 7: ',
        `${s2} at c #1 in 7: `,
        `forget ${s2}`,
        `MILLER at b #2 in 7: ${s2}`,
        `${s3} at c #1 in 7: `,
        `forget ${s3}`,
        `SMITH at c #2 in 7: ${s3}`,
        'forget SMITH',
      ]),
    );
  });

  test('sends news of a written-back binding once', async () => {
    const { store, fencingToken } = await openPool(await connected());
    const heard = await hear(store, fencingToken);
    const known = {
      binding: { root: user('U'), ...at('a'), generation: 3 },
      aliases: [storedForm(session('s'))],
    };

    await store.restore([{ ...known, epoch: 5 }]);
    await store.restore([{ ...known, epoch: 5 }]);
    await store.claim([user('LAST')], at('a'), fencingToken);

    await eventually(() => expect(heard.at(-1)).toMatch(/^LAST/));
    expect(heard).toEqual([
      `U at a #3 in 5: ${storedForm(session('s')).value}`,
      expect.stringMatching(/^LAST/),
    ]);
  });

  test('sends no news of claims that change nothing', async () => {
    const { store, fencingToken } = await openPool(await connected());
    await store.claim([user('A'), session('1')], at('a'), fencingToken);
    const heard = await hear(store, fencingToken);

    await store.claim([user('A'), session('1')], at('b'), fencingToken);
    await store.claim([session('1')], at('b'), fencingToken);
    await store.claim([user('A')], at('b'), fencingToken);
    await store.renew([user('A'), session('1')]);
    await store.claim([user('LAST')], at('a'), fencingToken);

    await eventually(() => expect(heard).toEqual([expect.stringMatching(/^LAST/)]));
  });

  test('refuses claims, moves and releases with another fencing token than the current one, and changes nothing', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const old = await setFencingToken(port, keyPrefix, { epoch: 1 });
    const { binding } = await store.claim([user('KNOWN')], at('a'), old);
    const fencingToken = await setFencingToken(port, keyPrefix, { epoch: 2 });

    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 200 }, (_, i) => store.claim([user(`U${i}`), session(`s${i}`)], at('a'), old)),
      store.rebind(binding, at('b'), old),
      store.release(binding, old),
      store.release(binding, ''),
      store.claim([user('U0')], at('a'), ''),
      store.peek([user('U0')], { fencingToken: old }),
      store.peek([user('U0')], { fencingToken: '' }),
    ]);

    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StaleView) });
    }
    expect(await store.counts()).toEqual(new Map([['a', 1]]));
    expect(await store.rebind(binding, at('b'), fencingToken)).toMatchObject({ made: true });
  });

  test('refuses a fencing token of another history of the server, after a failover to a replica', async () => {
    const server = await startRedis();
    const redis = openRedis({ ...REDIS_TIMEOUTS, url: server.url, commandTimeoutMs: 5_000 });
    connections.push(redis);
    try {
      await eventually(() => redis.ping());
      const store = new RedisStore(redis, 'crm', { keyPrefix: 'test', idleLifetimeMs: HOUR_MS });
      const fencingToken = await setFencingToken(server.port, 'test');
      await store.claim([user('A')], at('a'), fencingToken);

      await redisCommand(server.port, 'REPLICAOF', '127.0.0.1', '1');
      await redisCommand(server.port, 'REPLICAOF', 'NO', 'ONE');

      await eventually(async () => {
        await expect(store.claim([user('B')], at('a'), fencingToken)).rejects.toBeInstanceOf(StaleView);
      });
      expect(await store.counts()).toEqual(new Map([['a', 1]]));
    } finally {
      await server.stop();
    }
  });

  test('accepts the later generation in a write-back while its view store is closed, and keeps its own afterwards', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const of = (instance: string, generation: number): KnownBinding => ({
      binding: { root: user('U'), ...at(instance), generation },
      aliases: [],
      epoch: 3,
    });

    const [outdated] = await store.restore([of('x', 1)]);
    const [moved] = await store.restore([of('y', 2)]);
    const [late] = await store.restore([of('x', 1)]);
    await openViewStore(port, keyPrefix);
    const [tooLate] = await store.restore([of('z', 9)]);

    expect(outdated).toMatchObject({ instance: 'x', generation: 1 });
    for (const held of [moved, late, tooLate]) expect(held).toMatchObject({ instance: 'y', generation: 2 });
    expect(await store.counts()).toEqual(new Map([['y', 1]]));
  });

  test('keeps bindings of one pool under one hash tag, apart from those of others', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const fencingToken = await setFencingToken(port, keyPrefix);
    const crm = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const mail = new RedisStore(redis, 'mail', { keyPrefix, idleLifetimeMs: HOUR_MS });
    await crm.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
    await mail.claim([user('MILLER')], at('b'), await setFencingToken(port, keyPrefix, { pool: 'mail' }));

    const keys = (await redisCommand(port, 'KEYS', `${keyPrefix}:*`))
      .split('\r\n')
      .filter((line) => line.includes(':{'));

    expect(keys.length).toBeGreaterThanOrEqual(6);
    for (const key of keys)
      expect(key).toMatch(
        new RegExp(`^${keyPrefix}:\\{(crm|mail)\\}:(b:\\d+|counts|aliases|newcomers|held|fence)$`),
      );
    expect(await crm.counts()).toEqual(new Map([['a', 1]]));
  });

  test('leaves no keys in Redis when no gateway uses it any more', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const fencingToken = await setFencingToken(port, keyPrefix);
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: 100 });
    for (let i = 0; i < 50; i += 1)
      await store.claim([user(`U${i}`), session(`s${i}`)], at('a'), fencingToken);

    await eventually(async () => {
      const keys = await redisCommand(port, 'KEYS', `${keyPrefix}:*`);
      expect(keys.split('\r\n').filter((line) => line.includes(':{'))).toEqual([`${keyPrefix}:{crm}:fence`]);
    });
  });

  test('removes expired names as new ones come, so that they do not fill a busy store', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const fencingToken = await setFencingToken(port, keyPrefix);
    // Each name has ended a few claims later.
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: 1 });
    // All in one bucket, and the first one stays, so that the bucket never expires as a whole.
    const [first, ...names] = inOneBucket(200) as [Name, ...Name[]];
    await new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS }).claim(
      [first],
      at('a'),
      fencingToken,
    );
    let longest = 0;
    for (const name of names) {
      await store.claim([name], at('a'), fencingToken);
      const info = await redisCommand(port, 'HLEN', `${keyPrefix}:{crm}:b:${bucketOf(`u${name.value}`)}`);
      longest = Math.max(longest, Number.parseInt(info.slice(1), 10));
    }

    expect(longest).toBeLessThan(120);
  });

  test('has never more names than it may have, whatever many gateways claim at once, and those who are bound stay', async () => {
    const keyPrefix = uniquePrefix();
    const fencingToken = await setFencingToken(port, keyPrefix);
    const options = { keyPrefix, idleLifetimeMs: HOUR_MS, maxBindings: 50 };
    const stores = [await connected(), await connected()].map(
      (redis) => new RedisStore(redis, 'crm', options),
    ) as [RedisStore, RedisStore];
    const claim = (name: Name, i: number) => stores[i % 2]?.claim([name], at('a'), fencingToken);
    const agents = Array.from({ length: 20 }, (_, i) => user(`AGENT${i}`));
    for (let round = 0; round < 2; round += 1) await Promise.all(agents.map(claim));

    const invented = Array.from({ length: 300 }, (_, i) => claim(user(`X${i}`), i));
    const outcomes = await Promise.allSettled([...invented, ...agents.map(claim)]);

    for (const outcome of outcomes.slice(300)) expect(outcome).toMatchObject({ status: 'fulfilled' });
    expect(await stores[0].counts()).toEqual(new Map([['a', 50]]));
    for (const agent of agents) expect(await stores[1].find([agent])).toBeDefined();
  });

  test('keeps a name that a gateway of an earlier release has renewed', async () => {
    const { store, fencingToken, keyPrefix } = await openPool(await connected(), 2);
    await store.claim([user('A')], at('a'), fencingToken);
    await store.claim([user('B')], at('a'), fencingToken);
    // Earlier releases write a later end, and know nothing of probation.
    const later = Date.now() + 2 * HOUR_MS;
    await redisCommand(port, 'HSET', `${keyPrefix}:{crm}:b:${bucketOf('uA')}`, 'uA', `=a|1|1|${later}`);

    expect((await store.claim([user('C')], at('a'), fencingToken)).replaced).toEqual([user('B')]);
    expect(await store.find([user('A')])).toBeDefined();
  });

  test('works with a server that has lost its scripts', async () => {
    const redis = await connected();
    const { store, fencingToken } = await openPool(redis);
    await store.claim([user('A')], at('a'), fencingToken);

    await redisCommand(port, 'SCRIPT', 'FLUSH');

    expect((await store.claim([user('A')], at('b'), fencingToken)).binding.instance).toBe('a');
  });

  test('reads entries that were written with another lifetime', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const fencingToken = await setFencingToken(port, keyPrefix);
    const longer = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const shorter = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS / 2 });
    const { binding } = await longer.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
    expect(await shorter.counts()).toEqual(new Map([['a', 1]]));

    expect((await shorter.claim([session('s1')], at('b'), fencingToken)).binding).toEqual(binding);

    expect(await longer.counts()).toEqual(new Map([['a', 1]]));
    const [listed] = (await longer.list({})).bindings;
    expect(listed?.expiresInMs).toBeLessThanOrEqual((HOUR_MS / 2) * (33 / 32));
  });
});
