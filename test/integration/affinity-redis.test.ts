import { afterEach, describe, expect, inject, test } from 'vitest';
import { bucketOf } from '../../src/affinity/packing.ts';
import { RedisStore } from '../../src/affinity/redis-store.ts';
import { storedForm } from '../../src/affinity/stored-name.ts';
import type { Name } from '../../src/core/identity.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { behavesLikeTheModel, listsLikeTheModel } from '../contract/affinity-model.ts';
import { affinityStoreContract, at, session, uniquePrefix, user } from '../contract/affinity-store.ts';
import { eventually } from '../support/eventually.ts';
import { redisCommand } from '../support/redis-command.ts';

const HOUR_MS = 3_600_000;

/** Patient, for the tests are about what is answered; test/integration/affinity-redis-away.test.ts is about when. */
async function connect(): Promise<RedisConnection> {
  const redis = openRedis({ url: inject('redisUrl'), commandTimeoutMs: 5_000 });
  await eventually(() => redis.ping());
  return redis;
}

affinityStoreContract('the Redis store', async (idleLifetimeMs) => {
  const redis = await connect();
  const store = new RedisStore(redis, 'crm', { keyPrefix: uniquePrefix(), idleLifetimeMs });
  return {
    store,
    close: async () => {
      await store.close();
      await redis.close();
    },
  };
});

describe('the Redis store', () => {
  const connections: RedisConnection[] = [];
  const port = Number(new URL(inject('redisUrl')).port);

  async function connected(): Promise<RedisConnection> {
    const redis = await connect();
    connections.push(redis);
    return redis;
  }
  afterEach(async () => {
    for (const redis of connections.splice(0)) await redis.close();
  });

  test('behaves like the model in any history', async () => {
    const redis = await connected();
    await behavesLikeTheModel(
      () => new RedisStore(redis, 'crm', { keyPrefix: uniquePrefix(), idleLifetimeMs: HOUR_MS }),
      100,
    );
  });

  test('lists like the model after any history', async () => {
    const redis = await connected();
    await listsLikeTheModel(
      () => new RedisStore(redis, 'crm', { keyPrefix: uniquePrefix(), idleLifetimeMs: HOUR_MS }),
      4,
    );
  });

  test('never gives one agent two placements, whatever two gateways propose at once', async () => {
    const keyPrefix = uniquePrefix();
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
          return { i, names, claim: await store?.claim(names, at(`i${Math.floor(Math.random() * 5)}`)) };
        }),
      ),
    );

    for (const i of agents) {
      const ofUser = claims.filter((one) => one.i === i && one.names[0]?.kind === 'user');
      expect(new Set(ofUser.map(({ claim }) => claim?.binding.instance)).size).toBe(1);
      const settled = await stores[0]?.claim([session(`s${i}`)], at('other'));
      expect(settled?.binding.root).toEqual(user(`U${i}`));
      expect(settled?.binding.instance).toBe(ofUser[0]?.claim?.binding.instance);
    }
    const total = [...((await stores[0]?.counts()) ?? [])].reduce((sum, [, count]) => sum + count, 0);
    expect(total).toBe(200);
  });

  test('tells the other gateways which names have moved, in stored form', async () => {
    const keyPrefix = uniquePrefix();
    const ours = new RedisStore(await connected(), 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const theirs = new RedisStore(await connected(), 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const heard: string[] = [];
    theirs.listen({ onMoved: (names) => heard.push(names.map((n) => n.value).join(',')), onGap: () => {} });
    const { binding } = await ours.claim([user('MILLER')], at('a'));
    // Hearing begins some moments after the call.
    await eventually(async () => {
      await ours.release(user('MILLER'));
      await ours.claim([user('MILLER')], at('a'));
      expect(heard).toContain('MILLER');
    });
    heard.length = 0;

    await ours.rebind(binding, at('b'));
    await ours.claim([session('s1')], at('c'));
    await ours.claim([user('MILLER'), session('s1')], at('c'));
    await ours.release(session('s1'));

    const s1 = storedForm(session('s1')).value;
    await eventually(() => expect(heard.slice(-3)).toEqual(['MILLER', s1, `${s1},MILLER`]));
  });

  test('does not tell of claims that move nothing', async () => {
    const redis = await connected();
    const store = new RedisStore(redis, 'crm', { keyPrefix: uniquePrefix(), idleLifetimeMs: HOUR_MS });
    const heard: string[] = [];
    store.listen({ onMoved: (names) => heard.push(names.map((n) => n.value).join(',')), onGap: () => {} });
    await eventually(async () => {
      await store.claim([user('PROBE')], at('a'));
      await store.release(user('PROBE'));
      expect(heard).toContain('PROBE');
    });
    heard.length = 0;

    await store.claim([user('A'), session('1')], at('a'));
    await store.claim([user('A'), session('2')], at('b'));
    await store.renew([user('A'), session('1')]);
    await store.claim([user('LAST')], at('a'));
    await store.release(user('LAST'));

    await eventually(() => expect(heard.at(-1)).toBe('LAST'));
    expect(heard.filter((names) => names !== 'PROBE')).toEqual(['LAST']);
  });

  test('keeps bindings of one pool under one hash tag, apart from those of others', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const crm = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const mail = new RedisStore(redis, 'mail', { keyPrefix, idleLifetimeMs: HOUR_MS });
    await crm.claim([user('MILLER'), session('s1')], at('a'));
    await mail.claim([user('MILLER')], at('b'));
    await crm.marker();

    const keys = (await redisCommand(port, 'KEYS', `${keyPrefix}:*`))
      .split('\r\n')
      .filter((line) => line.includes(':{'));

    expect(keys.length).toBeGreaterThanOrEqual(6);
    for (const key of keys)
      expect(key).toMatch(new RegExp(`^${keyPrefix}:\\{(crm|mail)\\}:(b:\\d+|counts|marker)$`));
    expect(await crm.counts()).toEqual(new Map([['a', 1]]));
  });

  test('leaves nothing but its marker in Redis when nobody uses it any more', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: 100 });
    await store.marker();
    for (let i = 0; i < 50; i += 1) await store.claim([user(`U${i}`), session(`s${i}`)], at('a'));

    await eventually(async () => {
      const keys = await redisCommand(port, 'KEYS', `${keyPrefix}:*`);
      expect(keys.split('\r\n').filter((line) => line.includes(':{'))).toEqual([`${keyPrefix}:{crm}:marker`]);
    });
  });

  test('removes ended names as new ones come, so that a busy store does not fill with them', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: 20 });
    // All in one bucket, so that it never expires as a whole.
    const names = sameBucket(200);
    let longest = 0;
    for (const name of names) {
      await store.claim([name], at('a'));
      const info = await redisCommand(port, 'HLEN', `${keyPrefix}:{crm}:b:${bucketOf(`u${name.value}`)}`);
      longest = Math.max(longest, Number.parseInt(info.slice(1), 10));
    }

    expect(longest).toBeLessThan(120);
  });

  test('survives a server that has forgotten its scripts', async () => {
    const redis = await connected();
    const store = new RedisStore(redis, 'crm', { keyPrefix: uniquePrefix(), idleLifetimeMs: HOUR_MS });
    await store.claim([user('A')], at('a'));

    await redisCommand(port, 'SCRIPT', 'FLUSH');

    expect((await store.claim([user('A')], at('b'))).binding.instance).toBe('a');
  });

  test('understands entries that were written with another lifetime', async () => {
    const redis = await connected();
    const keyPrefix = uniquePrefix();
    const longer = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    const shorter = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS / 2 });
    const { binding } = await longer.claim([user('MILLER'), session('s1')], at('a'));
    expect(await shorter.counts()).toEqual(new Map([['a', 1]]));

    expect((await shorter.claim([session('s1')], at('b'))).binding).toEqual(binding);

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
