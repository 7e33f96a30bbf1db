import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { BindingCache } from '../../src/affinity/binding-cache.ts';
import { CacheWarmer } from '../../src/affinity/cache-warmer.ts';
import { bucketOf } from '../../src/affinity/packing.ts';
import { toName } from '../../src/affinity/redis/listed-lines.ts';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { Proposal } from '../../src/core/binding.ts';
import type { Name, RequestName } from '../../src/core/identity.ts';
import type { Cause } from '../../src/core/origin.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { NamesNoAgent } from '../../src/core/ports.ts';
import { storedForm, storedKey } from '../../src/core/stored-name.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { bindingsChannel } from '../../src/redis/keys.ts';
import { at, inOneBucket, listAll, session, uniquePrefix, user } from '../contract/affinity-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { openViewStore, setFencingToken } from '../support/fencing-token.ts';
import { scriptsOfLastRelease } from '../support/last-release.ts';
import { redisCommand } from '../support/redis-command.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const port = Number(new URL(inject('redisUrl')).port);
const HOUR_MS = 3_600_000;
const found = (name: RequestName): RequestName => ({ ...name, found: true });

const LAST_RELEASE = scriptsOfLastRelease('bindings');
// The position of the argument that its scripts do not know: the reason, or the filter of a listing.
const REASON = 9;
const CLAIMED: Cause = { kind: 'claimed', balancer: 'rendezvous' };

/** The connection of a gateway of the last release, with the scripts of that release. */
function ofLastRelease(redis: RedisConnection): RedisConnection {
  const withItsScripts = (commands: RedisConnection['claims']): RedisConnection['claims'] => ({
    define: () => commands.define(LAST_RELEASE),
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args.toSpliced(REASON, 1));
      // Its listings do not tell the number of fields.
      return script === 'gwList' ? (reply as unknown[]).toSpliced(1, 0, 0) : reply;
    },
    runConfirmed: (...command) => commands.runConfirmed(...command),
    ping: () => commands.ping(),
    version: () => commands.version(),
  });
  return { ...redis, claims: withItsScripts(redis.claims), listings: withItsScripts(redis.listings) };
}

describe('a store shared by gateways of the last release and of this one', () => {
  const connections: RedisConnection[] = [];
  let last: RedisStore;
  let ours: RedisStore;
  let fencingToken: string;
  let keyPrefix: string;

  async function connect(): Promise<RedisConnection> {
    const redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    connections.push(redis);
    await eventually(() => redis.ping());
    return redis;
  }
  beforeEach(async () => {
    const options = { keyPrefix: uniquePrefix(), idleLifetimeMs: HOUR_MS };
    ({ keyPrefix } = options);
    await openViewStore(port, options.keyPrefix);
    last = new RedisStore(ofLastRelease(await connect()), 'crm', options);
    ours = new RedisStore(await connect(), 'crm', options);
    fencingToken = await setFencingToken(port, options.keyPrefix);
  });
  afterEach(async () => {
    for (const redis of connections.splice(0)) await redis.close();
  });

  test('the last release treats a name that was only found as a normal binding', async () => {
    const { binding } = await ours.claim(
      [found(user('MILLER')), found(session('s1'))],
      at('a', '7'),
      fencingToken,
    );

    expect(binding).toEqual({ root: user('MILLER'), ...at('a', '7'), generation: 1 });
    for (const names of [[user('MILLER')], [session('s1')], [user('MILLER'), session('s1')]]) {
      expect(await last.claim(names, at('b'), fencingToken)).toEqual({ binding, made: false });
      expect(await last.renew(names)).toEqual(binding);
    }
    expect(await last.counts()).toEqual(new Map([['a', 1]]));
    const listed = await last.list({ aliases: true, limit: 100 });
    expect(listed.bindings.map((line) => line.binding)).toEqual([binding]);
    expect(listed.aliases).toEqual([{ name: storedForm(session('s1')), root: user('MILLER') }]);
    const moved = await last.rebind(binding, at('c'), fencingToken);
    expect(moved.binding).toEqual({ root: user('MILLER'), ...at('c'), generation: 2 });
    expect((await ours.claim([session('s1')], at('x'), fencingToken)).binding).toEqual(moved.binding);
    await last.release(moved.binding, fencingToken);
    expect(await ours.counts()).toEqual(new Map());
  });

  test.each(['claim', 'renew'] as const)('a %s by the last release undoes a log-off', async (step) => {
    const { binding } = await ours.claim([user('MILLER')], at('a'), fencingToken);
    const left = await ours.logOff(binding, { graceMs: 30_000, ageMs: 0 });
    expect((await ours.find([user('MILLER')]))?.expiresInMs).toBeLessThan(60_000);

    if (step === 'claim') await last.claim([user('MILLER')], at('b'), fencingToken);
    else await last.renew([user('MILLER')]);

    expect((await ours.find([user('MILLER')]))?.expiresInMs).toBeGreaterThan(HOUR_MS / 2);
    expect(await ours.counts()).toEqual(new Map([['a', 1]]));
    const logOn = await ours.claim([user('MILLER')], at('b'), fencingToken, undefined, ['a']);
    expect(logOn).toMatchObject({ made: false, binding: left });
  });

  test('the last release reads a log-off as a move of names, and so asks about the next request', async () => {
    const { binding } = await ours.claim([user('MILLER')], at('a'), fencingToken);
    const heard: string[][] = [];
    (connections[0] as RedisConnection).subscriber.listen(bindingsChannel(keyPrefix, 'crm'), {
      onMessage: (message) => heard.push(JSON.parse(message)),
      onHeard: () => heard.push([]),
    });
    await eventually(() => expect(heard).toEqual([[]]));

    await ours.logOff(binding, { graceMs: 30_000, ageMs: 0 });

    await eventually(() => expect(heard).toHaveLength(2));
    const [kind, ...names] = heard[1] as [string, ...string[]];
    expect(kind).toBe('moved');
    expect(names.map(toName)[0]).toEqual(user('MILLER'));
    // No agent has the other name.
    expect(names.slice(1).map(toName)).toEqual([expect.objectContaining({ kind: 'address' })]);
  });

  test('a renewal by the last release does not pass for the time of the last request', async () => {
    const names = [user('MILLER'), session('s1')];
    const binding = { root: user('MILLER'), ...at('a'), generation: 1 };
    // Ends elsewhere than a binding that is renewed now.
    const idleLifetimeMs = HOUR_MS + 7 * 60_000;
    await ours.claim(names, { ...at('a'), cause: CLAIMED }, fencingToken);
    expect(await ours.find(names)).toHaveProperty('usedAt');

    const renewing = new RedisStore(ofLastRelease(await connect()), 'crm', { keyPrefix, idleLifetimeMs });
    expect(await renewing.renew(names)).toEqual(binding);
    expect(await ours.find(names)).toMatchObject({ binding });
    expect(await ours.find(names)).not.toHaveProperty('usedAt');

    expect(await ours.renew(names)).toEqual(binding);
    expect(await ours.find(names)).toHaveProperty('usedAt');
    expect(await last.renew(names)).toEqual(binding);
  });

  test('a name written by the last release counts as asserted', async () => {
    await last.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
    await last.claim([session('s2')], at('b'), fencingToken);

    const beside = await ours.claim([found(user('OTHER')), found(session('s1'))], at('c'), fencingToken);
    const alone = await ours.claim([found(user('MILLER')), found(session('s2'))], at('c'), fencingToken);

    expect(beside).toMatchObject({ by: 'session', binding: { root: user('MILLER'), instance: 'a' } });
    expect(alone).toMatchObject({ by: 'session', binding: { instance: 'b' }, conflict: at('a') });
  });

  test('the last release places an agent that this one has released, and sees nothing of its note', async () => {
    const names = [user('MILLER'), session('s1')];
    let { binding } = await last.claim(names, at('a'), fencingToken);
    ({ binding } = await last.rebind(binding, at('b'), fencingToken));
    await ours.release(binding, fencingToken);

    expect(await last.renew(names)).toBeUndefined();
    expect(await last.list({ aliases: true })).toMatchObject({
      bindings: [],
      aliases: [{ root: user('MILLER') }],
    });
    expect(await last.counts()).toEqual(new Map());

    const placed = await last.claim(names, at('c'), fencingToken);
    expect(placed).toMatchObject({ made: true, binding: { root: user('MILLER'), instance: 'c' } });
    for (const name of names)
      expect((await ours.claim([name], at('x'), fencingToken)).binding).toEqual(placed.binding);
  });

  test('a name renewed by the last release counts as asserted from then on, with the same binding', async () => {
    const names = [user('MILLER'), session('s1')];
    await ours.claim(names.map(found), at('a'), fencingToken);
    // It moves the user's binding, and the session to another user and back.
    await last.claim([user('SMITH'), session('s1')], at('b'), fencingToken);
    await last.claim(names, at('b'), fencingToken);

    expect((await ours.claim([session('s1')], at('x'), fencingToken)).binding.root).toEqual(user('MILLER'));
    // If the session had only been found, the new user would get the session's binding.
    const next = await ours.claim([user('NEW'), session('s1')], at('x'), fencingToken);
    expect(next).toMatchObject({ by: 'link', made: true, conflict: at('a') });
  });

  test('a shared session has no effect on the last release, and both can list it', async () => {
    for (const value of ['A', 'B', 'A'])
      await ours.claim([user(value), session('s1')], at(value), fencingToken);

    expect(await last.renew([session('s1')])).toBeUndefined();
    await last.claim([user('B'), session('s1')], at('x'), fencingToken);
    expect((await last.claim([session('s1')], at('x'), fencingToken)).binding.root).toEqual(user('B'));

    await expect(ours.claim([session('s1')], at('x'), fencingToken)).rejects.toBeInstanceOf(NamesNoAgent);
    expect(await ours.claim([user('A'), session('s1')], at('x'), fencingToken)).toMatchObject({ by: 'user' });
    expect((await last.list({ aliases: true })).aliases).toEqual([
      { name: storedForm(session('s1')), root: user('B') },
    ]);
    await last.restore([
      { binding: { root: user('C'), ...at('c'), generation: 1 }, aliases: [session('s1')], epoch: 1 },
    ]);
    expect(await ours.counts()).toEqual(
      new Map([
        ['A', 1],
        ['B', 1],
        ['c', 1],
      ]),
    );
  });

  const because = (instance: string, cause: Cause = CLAIMED): Proposal => ({
    ...at(instance),
    cause,
    gateway: 'gw1',
  });

  async function causeOf(store: AffinityStore, name: RequestName): Promise<Cause['kind'] | undefined> {
    return (await store.find([name]))?.origin?.cause.kind;
  }

  test('the last release lists, counts and warms its cache beside origins, and does not see them', async () => {
    for (let i = 0; i < 20; i += 1)
      await ours.claim([user(`U${i}`), session(`s${i}`)], because('a'), fencingToken);

    const listed = await listAll(last, { limit: 7 });
    expect(listed.map(({ binding }) => binding.root.value).sort()).toEqual(
      Array.from({ length: 20 }, (_, i) => `U${i}`).sort(),
    );
    expect(await last.counts()).toEqual(new Map([['a', 20]]));
    const cache = new BindingCache({ maxEntries: 100, idleLifetimeMs: HOUR_MS });
    const warmer = new CacheWarmer({ store: last, cache, epoch: () => 1, isOutdated: () => false });
    warmer.mayHaveMissed();
    warmer.tick();
    await eventually(() => expect(warmer.hasScanned).toBe(true));
    await warmer.close();
    expect(cache.find('U7', undefined)?.names).toHaveLength(2);
    expect(cache.size).toBe(20);
  });

  test('a binding that the last release moves or makes again has no origin, and gets one with our next move', async () => {
    const { binding } = await ours.claim([user('MILLER'), session('s1')], because('a'), fencingToken);
    await last.claim([user('MILLER'), session('s2')], at('b'), fencingToken);
    expect(await causeOf(ours, session('s2'))).toBe('claimed');

    const moved = await last.rebind(binding, at('b'), fencingToken);
    expect(await causeOf(ours, user('MILLER'))).toBeUndefined();
    const rebound: Cause = { kind: 'rebound', from: 'b', loss: 'down' };
    await ours.rebind(moved.binding, because('c', rebound), fencingToken);
    expect(await causeOf(ours, user('MILLER'))).toBe('rebound');

    await last.claim([session('s3')], at('a'), fencingToken);
    await last.claim([user('SMITH'), session('s3')], at('a'), fencingToken);
    expect(await ours.find([user('SMITH')])).toMatchObject({ binding: { instance: 'a' }, found: false });
    expect(await causeOf(ours, user('SMITH'))).toBeUndefined();
    expect((await last.list({ aliases: true })).aliases).toHaveLength(3);
  });

  test('the last release removes the origins of ended bindings as it adds names', async () => {
    const options = { keyPrefix: uniquePrefix(), idleLifetimeMs: 200 };
    await openViewStore(port, options.keyPrefix);
    const token = await setFencingToken(port, options.keyPrefix);
    const brief = new RedisStore(await connect(), 'crm', options);
    const old = new RedisStore(ofLastRelease(await connect()), 'crm', {
      ...options,
      idleLifetimeMs: HOUR_MS,
    });
    const [first, ...names] = inOneBucket(41) as [Name, ...Name[]];
    const key = `${options.keyPrefix}:{crm}:b:${bucketOf(storedKey(first))}`;
    // Keeps the bucket, which otherwise ends as a whole.
    await old.claim([first], at('b'), token);
    // At once, so that none of them ends and is removed while another one is added.
    await Promise.all(names.slice(0, 20).map((name) => brief.claim([name], because('a'), token)));
    // An origin ends a little later than its binding is counted.
    const origins = (await redisCommand(port, 'HGETALL', key)).matchAll(/!!u.*\r\n.*\r\n.*\|(\d+)/g);
    const ends = [...origins].map(([, end]) => Number(end));
    expect(ends.length).toBeGreaterThan(10);
    await eventually(() => expect(Date.now()).toBeGreaterThan(Math.max(...ends)));

    for (const name of names.slice(20)) await old.claim([name], at('b'), token);

    // Each added name checks six others.
    const left = (await redisCommand(port, 'HKEYS', key)).split('!!uX').length - 1;
    expect(left).toBeLessThan(ends.length * 0.75);
  });

  test('whichever release acts, each name has one binding, and all are counted', async () => {
    let seed = 4711;
    const draw = <T>(of: readonly T[]): T => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return of[Math.floor((seed / 2_147_483_648) * of.length)] as T;
    };
    const users = ['A', 'B', 'C', 'D'].map(user);
    const sessions = ['1', '2', '3', '4', '5'].map(session);
    for (let step = 0; step < 400; step += 1) {
      const store = draw([last, ours]);
      const named: RequestName[] = [draw(users), draw(sessions)].filter(() => draw([true, true, false]));
      const names = draw([true, false]) ? named : named.map(found);
      const [first] = names;
      if (first === undefined) continue;
      if (draw([0, 1, 2, 3]) > 0) {
        await store.claim(names, at(draw(['a', 'b', 'c'])), fencingToken).catch((error: unknown) => {
          if (!(error instanceof NamesNoAgent)) throw error;
        });
      } else if (draw([true, false])) {
        const held = await store.renew(names);
        if (held !== undefined) await store.rebind(held, at(draw(['a', 'b', 'c'])), fencingToken);
      } else {
        const held = await store.renew([first]);
        if (held !== undefined) await store.release(held, fencingToken);
      }
    }

    const bindings = (await listAll(ours, { limit: 50 })).map(({ binding }) => binding);
    const counts = new Map<string, number>();
    for (const { instance } of bindings) counts.set(instance, (counts.get(instance) ?? 0) + 1);
    expect(await ours.counts()).toEqual(counts);
    for (const name of [...users, ...sessions])
      expect(await ours.renew([name])).toEqual(await last.renew([name]));
  });

  test('groups are not in the way of the last release, and what it moves counts', async () => {
    const group = {
      name: 'team',
      size: 3,
      places: ['a', 'b'].map((id) => ({ ...at(id), weight: 1, most: 0 })),
      closed: [],
      isByLoad: false,
    };
    const claim = (who: string, preferred: readonly string[]) =>
      ours.claim(
        [user(who)],
        {
          ...at('a'),
          group: { ...group, places: preferred.map((id) => ({ ...at(id), weight: 1, most: 0 })) },
        },
        fencingToken,
      );
    const { binding } = await claim('M1', ['a', 'b']);

    // It places a member by itself, and renews, lists, counts and moves those of the group.
    expect((await last.claim([user('M2')], at('b'), fencingToken)).binding.instance).toBe('b');
    expect(await last.renew([user('M1')])).toEqual(binding);
    expect(await last.counts()).toEqual(
      new Map([
        ['a', 1],
        ['b', 1],
      ]),
    );
    expect(await listAll(last, { limit: 10 })).toHaveLength(2);
    expect((await claim('M2', ['a', 'b'])).binding.instance).toBe('b');
    expect((await claim('M3', ['b', 'a'])).binding.instance).toBe('a');
    for (const who of ['M1', 'M3']) {
      const held = await last.renew([user(who)]);
      if (held !== undefined) await last.release(held, fencingToken);
    }

    // No member is left where the group was.
    expect((await claim('M4', ['b', 'a'])).binding.instance).toBe('b');
  });
});
