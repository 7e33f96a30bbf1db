import { beforeEach, describe, expect, test } from 'vitest';
import type { Name, RequestName } from '../../src/core/identity.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { NamesNoAgent } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, opensStores, session, user } from './affinity-store-support.ts';

const found = (name: Name): RequestName => ({ ...name, found: true });

/** What every AffinityStore makes of names that are only found in bodies, and of sessions that change hands. */
export function evidenceContract(name: string, open: (idleLifetimeMs: number) => Promise<OpenStore>): void {
  describe(`${name} weighs names`, () => {
    const openFor = opensStores(open);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    /** Where the names lead; an unknown agent is bound to `instance`. */
    async function claim(names: readonly RequestName[], instance: string): Promise<string> {
      return (await store.claim(names, at(instance), fencingToken)).binding.instance;
    }

    test('a session that is bound alone stays, also where its bodies name users', async () => {
      await claim([user('OTHER')], 'a');
      await claim([session('s1')], 'b');

      const asked = await store.claim([found(user('OTHER')), session('s1')], at('c'), fencingToken);

      expect(asked).toMatchObject({ by: 'session', conflict: at('a'), binding: { instance: 'b' } });
      expect(await claim([session('s1')], 'c')).toBe('b');
      expect(await claim([user('OTHER')], 'c')).toBe('a');
    });

    test('two agents who search for the same user keep their instances', async () => {
      await claim([user('MILLER'), session('A1')], 'a');
      await claim([user('SMITH'), session('A2')], 'b');

      expect(await claim([found(user('*')), found(session('A1'))], 'c')).toBe('a');
      expect(await claim([found(user('*')), found(session('A2'))], 'c')).toBe('b');

      expect(await claim([session('A1')], 'c')).toBe('a');
      expect(await claim([session('A2')], 'c')).toBe('b');
      expect(await store.counts()).toEqual(
        new Map([
          ['a', 1],
          ['b', 1],
        ]),
      );
    });

    test('a session follows its user, and another user found beside it gets no binding', async () => {
      await claim([user('MILLER'), session('s1')], 'a');

      expect(await claim([found(user('OTHER')), session('s1')], 'b')).toBe('a');
      expect(await store.renew([user('OTHER')])).toBeUndefined();
      expect((await store.renew([session('s1')]))?.root).toEqual(user('MILLER'));
    });

    test('agents that have only sessions and all search for one user stay on their instances', async () => {
      const places = ['a', 'b', 'c'];
      for (let i = 0; i < 12; i += 1) await claim([session(`s${i}`)], places[i % 3] as string);
      for (let i = 0; i < 12; i += 1) await claim([found(user('BOSS')), session(`s${i}`)], 'a');

      for (let i = 0; i < 12; i += 1) expect(await claim([session(`s${i}`)], 'x')).toBe(places[i % 3]);
    });

    test('a user who is found joins a session that has none, and no agent is moved', async () => {
      await claim([session('s1')], 'a');

      const joined = await store.claim([found(user('MILLER')), found(session('s1'))], at('b'), fencingToken);

      expect(joined).toMatchObject({ by: 'take-found', made: false, binding: { instance: 'a' } });
      expect(await claim([user('MILLER')], 'c')).toBe('a');
      // The second session finds that the user has one already.
      expect(await claim([found(user('SMITH')), found(session('s1'))], 'c')).toBe('a');
      expect(await store.renew([user('SMITH')])).toBeUndefined();
    });

    test('a user asserted with a session goes to the instance of the session, although others were found beside it', async () => {
      await claim([found(user('OTHER')), session('s1')], 'a');

      const known = await store.claim([user('MILLER'), session('s1')], at('b'), fencingToken);

      expect(known).toMatchObject({
        by: 'take',
        made: false,
        binding: { root: user('MILLER'), instance: 'a' },
      });
      expect(known.conflict).toBeUndefined();
      expect((await store.renew([session('s1')]))?.root).toEqual(user('MILLER'));
      expect((await store.renew([user('OTHER')]))?.instance).toBe('a');
    });

    test('a user who was only found follows the session once both are asserted together', async () => {
      await claim([found(user('MILLER'))], 'a');
      await claim([session('s1')], 'b');

      const known = await store.claim([user('MILLER'), session('s1')], at('c'), fencingToken);

      expect(known).toMatchObject({
        by: 'take',
        binding: { root: user('MILLER'), instance: 'b', generation: 2 },
      });
      expect(known.conflict).toEqual(at('a'));
      expect(await store.counts()).toEqual(new Map([['b', 1]]));
      // From now on the user is asserted.
      await claim([session('s2')], 'a');
      expect(await claim([user('MILLER'), session('s2')], 'c')).toBe('b');
    });

    test('a user who has been asserted does not follow any more', async () => {
      await claim([found(user('MILLER'))], 'a');
      await claim([user('MILLER')], 'c');
      await claim([session('s1')], 'b');

      expect(await claim([user('MILLER'), session('s1')], 'c')).toBe('a');
    });

    test('moves and renewals keep the mark that a user was only found', async () => {
      const { binding } = await store.claim(
        [found(user('MILLER')), found(session('s1'))],
        at('a'),
        fencingToken,
      );
      await store.rebind(binding, at('b'), fencingToken);
      await store.renew([user('MILLER'), session('s1')]);

      const known = await store.claim([user('SMITH'), session('s1')], at('c'), fencingToken);

      expect(known).toMatchObject({ by: 'take', binding: { root: user('SMITH'), instance: 'b' } });
      await claim([session('s2')], 'd');
      expect(await claim([user('MILLER'), session('s2')], 'x')).toBe('d');
    });

    test('a session found beside an asserted user stays with the agent that has it', async () => {
      await claim([user('SMITH'), session('s1')], 'b');
      await claim([session('s2')], 'c');
      await claim([user('MILLER')], 'a');

      for (const value of ['s1', 's2']) {
        expect(await claim([user('MILLER'), found(session(value))], 'x')).toBe('a');
      }
      expect(await claim([session('s1')], 'x')).toBe('b');
      expect(await claim([session('s2')], 'x')).toBe('c');
    });

    test('a session without an agent joins the user that it is found with', async () => {
      await claim([user('MILLER')], 'a');

      expect(await claim([found(user('MILLER')), found(session('s1'))], 'b')).toBe('a');
      expect(await claim([session('s1')], 'b')).toBe('a');
      expect(await claim([user('SMITH'), found(session('s2'))], 'b')).toBe('b');
      expect(await claim([session('s2')], 'a')).toBe('b');
    });

    test('a session that passes from one user to the next follows, and is shared once the first user has it again', async () => {
      await claim([user('A'), session('s1')], 'a');
      await claim([user('B'), session('s1')], 'b');
      expect((await store.renew([session('s1')]))?.root).toEqual(user('B'));

      const back = await store.claim([user('A'), session('s1')], at('c'), fencingToken);

      expect(back).toMatchObject({ by: 'user', binding: { root: user('A'), instance: 'a' } });
      expect(back.conflict).toBeUndefined();
      expect(await store.renew([session('s1')])).toBeUndefined();
      await expect(store.claim([session('s1')], at('c'), fencingToken)).rejects.toBeInstanceOf(NamesNoAgent);
      expect(await claim([user('B'), session('s1')], 'c')).toBe('b');
      expect(await claim([found(user('NEW')), session('s1')], 'c')).toBe('c');
      expect(await store.renew([session('s1')])).toBeUndefined();
      expect((await store.list({ aliases: true })).aliases).toEqual([]);
    });

    test('a session that more than two users take turns with is shared too', async () => {
      for (const value of ['A', 'B', 'C', 'D']) await claim([user(value), session('s1')], 'a');
      expect((await store.claim([user('A'), session('s1')], at('a'), fencingToken)).by).toBe('user');
    });

    test('a shared session is not written back', async () => {
      for (const value of ['A', 'B', 'A']) await claim([user(value), session('s1')], 'a');
      const { binding } = await store.claim([user('A')], at('a'), fencingToken);

      await store.restore([{ binding, aliases: [session('s1')], epoch: 1 }]);
      expect(await store.renew([session('s1')])).toBeUndefined();
    });

    test('a session that was found before its binding was released is asserted when it is written back', async () => {
      const first = await store.claim([user('B'), found(session('s1'))], at('b'), fencingToken);
      expect(first.by).toBe('link-found');
      await store.release(first.binding, fencingToken);

      await store.restore([{ binding: first.binding, aliases: [session('s1')], epoch: 1 }]);
      const { by, made } = await store.claim([user('C'), session('s1')], at('c'), fencingToken);
      expect([by, made]).toEqual(['link', true]);
    });

    test('a shared session is a name again when it was idle for a lifetime', async () => {
      ({ store, fencingToken } = await openFor(200));
      await eventually(async () => {
        for (const value of ['A', 'B', 'A']) await claim([user(value), session('s1')], 'a');
        await expect(store.claim([session('s1')], at('b'), fencingToken)).rejects.toBeInstanceOf(
          NamesNoAgent,
        );
      });

      // Asking for it is using it, so it is asked for more rarely than that.
      await eventually(async () => expect(await claim([session('s1')], 'b')).toBe('b'), { every: 300 });
    });
  });
}
