import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { RequestName } from '../../src/core/identity.ts';
import { NamesNoAgent } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { at, listAll, session, uniquePrefix, user } from '../contract/affinity-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { openViewStore, setFencingToken } from '../support/fencing-token.ts';
import { scriptsOfLastRelease } from '../support/last-release.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const port = Number(new URL(inject('redisUrl')).port);
const HOUR_MS = 3_600_000;
const found = (name: RequestName): RequestName => ({ ...name, found: true });

const LAST_RELEASE = scriptsOfLastRelease('bindings');

/** The connection of a gateway of the last release, with the scripts of that release. */
function ofLastRelease(redis: RedisConnection): RedisConnection {
  const withItsScripts = (commands: RedisConnection['claims']): RedisConnection['claims'] => ({
    define: () => commands.define(LAST_RELEASE),
    run: (script, keys, args) => commands.run(script, keys, args),
    runConfirmed: (...command) => commands.runConfirmed(...command),
    ping: () => commands.ping(),
  });
  return { ...redis, claims: withItsScripts(redis.claims), listings: withItsScripts(redis.listings) };
}

describe('a store shared by gateways of the last release and of this one', () => {
  const connections: RedisConnection[] = [];
  let last: RedisStore;
  let ours: RedisStore;
  let fencingToken: string;

  async function connect(): Promise<RedisConnection> {
    const redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    connections.push(redis);
    await eventually(() => redis.ping());
    return redis;
  }
  beforeEach(async () => {
    const options = { keyPrefix: uniquePrefix(), idleLifetimeMs: HOUR_MS };
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
    await last.release(session('s1'));
    expect(await ours.counts()).toEqual(new Map());
  });

  test('a name written by the last release counts as asserted', async () => {
    await last.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
    await last.claim([session('s2')], at('b'), fencingToken);

    const beside = await ours.claim([found(user('OTHER')), found(session('s1'))], at('c'), fencingToken);
    const alone = await ours.claim([found(user('MILLER')), found(session('s2'))], at('c'), fencingToken);

    expect(beside).toMatchObject({ by: 'session', binding: { root: user('MILLER'), instance: 'a' } });
    expect(alone).toMatchObject({ by: 'session', binding: { instance: 'b' }, conflict: at('a') });
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
        await store.release(first);
      }
    }

    const bindings = (await listAll(ours, { limit: 50 })).map(({ binding }) => binding);
    const counts = new Map<string, number>();
    for (const { instance } of bindings) counts.set(instance, (counts.get(instance) ?? 0) + 1);
    expect(await ours.counts()).toEqual(counts);
    for (const name of [...users, ...sessions])
      expect(await ours.renew([name])).toEqual(await last.renew([name]));
  });
});
