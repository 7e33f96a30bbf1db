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
import { behavesLikeTheModel, listsLikeTheModel } from '../contract/affinity-model.ts';
import { affinityStoreContract } from '../contract/affinity-store.ts';
import type { OpenStore } from '../contract/affinity-store-support.ts';
import { at, session, uniquePrefix, user } from '../contract/affinity-store-support.ts';
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

async function openStore(idleLifetimeMs: number): Promise<OpenStore> {
  const redis = await connect();
  const keyPrefix = uniquePrefix();
  const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs });
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

describe('the Redis store', () => {
  const connections: RedisConnection[] = [];

  async function connected(): Promise<RedisConnection> {
    const redis = await connect();
    connections.push(redis);
    return redis;
  }

  async function openPool(redis: RedisConnection): Promise<{ store: AffinityStore; fencingToken: string }> {
    const keyPrefix = uniquePrefix();
    await openViewStore(port, keyPrefix);
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    return { store, fencingToken: await setFencingToken(port, keyPrefix) };
  }

  afterEach(async () => {
    for (const redis of connections.splice(0)) await redis.close();
  });

  test('behaves like the model for any history', async () => {
    const redis = await connected();
    await behavesLikeTheModel(() => openPool(redis), 100);
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
    await ours.claim([user('SMITH'), session('s3')], at('a'), fencingToken);
    await ours.release(session('s3'));

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
        `forget ${s3},SMITH`,
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

  test('refuses claims and moves with another fencing token than the current one, and changes nothing', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const old = await setFencingToken(port, keyPrefix, { epoch: 1 });
    const { binding } = await store.claim([user('KNOWN')], at('a'), old);
    const fencingToken = await setFencingToken(port, keyPrefix, { epoch: 2 });

    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 200 }, (_, i) => store.claim([user(`U${i}`), session(`s${i}`)], at('a'), old)),
      store.rebind(binding, at('b'), old),
      store.claim([user('U0')], at('a'), ''),
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
      expect(key).toMatch(new RegExp(`^${keyPrefix}:\\{(crm|mail)\\}:(b:\\d+|counts|fence)$`));
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
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: 20 });
    // All in one bucket, so that the bucket never expires as a whole.
    const names = sameBucket(200);
    let longest = 0;
    for (const name of names) {
      await store.claim([name], at('a'), fencingToken);
      const info = await redisCommand(port, 'HLEN', `${keyPrefix}:{crm}:b:${bucketOf(`u${name.value}`)}`);
      longest = Math.max(longest, Number.parseInt(info.slice(1), 10));
    }

    expect(longest).toBeLessThan(120);
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

function sameBucket(count: number): Name[] {
  const names: Name[] = [];
  const bucket = bucketOf('uX0');
  for (let i = 0; names.length < count; i += 1) {
    if (bucketOf(`uX${i}`) === bucket) names.push(user(`X${i}`));
  }
  return names;
}
