import { beforeEach, describe, expect, test } from 'vitest';
import type { Binding, Claim } from '../../src/core/binding.ts';
import type { Name } from '../../src/core/identity.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import { affinityContentsContract } from './affinity-contents.ts';
import { affinityFiltersContract } from './affinity-filters.ts';
import { affinityGroupsContract } from './affinity-groups.ts';
import { affinityLogOffContract } from './affinity-logoff.ts';
import { affinityOriginsContract } from './affinity-origins.ts';
import { affinityPeekContract } from './affinity-peek.ts';
import { affinityRebalanceContract } from './affinity-rebalance.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, opensStores, session, user } from './affinity-store-support.ts';

/** What every AffinityStore must do. `open` gives an empty store. */
export function affinityStoreContract(
  name: string,
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  affinityContentsContract(name, open);
  affinityFiltersContract(name, open);
  affinityGroupsContract(name, open);
  affinityPeekContract(name, open);
  affinityLogOffContract(name, open);
  affinityRebalanceContract(name, open);
  affinityOriginsContract(name, open);
  describe(`${name} as an AffinityStore`, () => {
    const openFor = opensStores(open);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    test('the first claim makes the binding, and every later one returns it', async () => {
      const first = await store.claim([user('MILLER')], at('a'), fencingToken);
      const second = await store.claim([user('MILLER')], at('b'), fencingToken);

      expect(first).toMatchObject({
        binding: { root: user('MILLER'), instance: 'a', incarnation: '1', generation: 1 },
        made: true,
      });
      expect(second).toMatchObject({ binding: first.binding, made: false });
    });

    test('of simultaneous claims exactly one makes the binding', async () => {
      const proposals = ['a', 'b', 'c', 'd'];
      const claims = await Promise.all(
        proposals.map((id) => store.claim([user('MILLER')], at(id), fencingToken)),
      );

      expect(claims.filter((claim) => claim.made)).toHaveLength(1);
      expect(new Set(claims.map((claim) => claim.binding.instance)).size).toBe(1);
    });

    test('a session claimed with its user leads to the user’s binding when it comes alone', async () => {
      await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      const alone = await store.claim([session('s1')], at('b'), fencingToken);

      expect(alone).toMatchObject({
        binding: { root: user('MILLER'), instance: 'a', incarnation: '1', generation: 1 },
        made: false,
      });
    });

    test('a new session of a known user stays where the user is', async () => {
      await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      const relogon = await store.claim([user('MILLER'), session('s2')], at('b'), fencingToken);

      expect(relogon.binding.instance).toBe('a');
      expect(relogon.conflict).toBeUndefined();
      expect((await store.claim([session('s2')], at('b'), fencingToken)).binding.instance).toBe('a');
    });

    test('a session without a user has a separate binding, under a name that does not reveal the session', async () => {
      const { binding } = await store.claim([session('secret-value')], at('a'), fencingToken);

      expect(binding.root).toEqual(storedForm(session('secret-value')));
      expect(JSON.stringify(await store.list({}))).not.toContain('secret');
    });

    test('a user takes over the binding of its session, and no agent is moved', async () => {
      await store.claim([session('s1')], at('a', '7'), fencingToken);

      const known = await store.claim([user('MILLER'), session('s1')], at('b'), fencingToken);

      expect(known).toMatchObject({
        binding: { root: user('MILLER'), instance: 'a', incarnation: '7', generation: 2 },
        made: false,
      });
      expect((await store.claim([session('s1')], at('b'), fencingToken)).binding).toEqual(known.binding);
      expect(await store.counts()).toEqual(new Map([['a', 1]]));
    });

    test('a session bound elsewhere follows its user, and the answer says from where', async () => {
      await store.claim([user('MILLER')], at('a'), fencingToken);
      await store.claim([session('s1')], at('b', '5'), fencingToken);

      const claim = await store.claim([user('MILLER'), session('s1')], at('c'), fencingToken);

      expect(claim.binding).toMatchObject({ root: user('MILLER'), instance: 'a', generation: 1 });
      expect(claim.conflict).toEqual(at('b', '5'));
      expect(await store.counts()).toEqual(new Map([['a', 1]]));
      expect(
        (await store.claim([user('MILLER'), session('s1')], at('c'), fencingToken)).conflict,
      ).toBeUndefined();
    });

    test('a session of one user that comes with another known user follows that one', async () => {
      await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
      await store.claim([user('SMITH')], at('b'), fencingToken);

      const claim = await store.claim([user('SMITH'), session('s1')], at('c'), fencingToken);

      expect(claim.binding.instance).toBe('b');
      expect(claim.conflict).toEqual(at('a'));
      expect((await store.claim([session('s1')], at('c'), fencingToken)).binding.root).toEqual(user('SMITH'));
      expect((await store.claim([user('MILLER')], at('c'), fencingToken)).binding.instance).toBe('a');
    });

    test('a session of one user that comes with an unknown user follows the new binding', async () => {
      await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      const claim = await store.claim([user('SMITH'), session('s1')], at('b'), fencingToken);

      expect(claim.made).toBe(true);
      expect(claim.binding).toMatchObject({ root: user('SMITH'), instance: 'b', generation: 1 });
      expect(claim.conflict).toEqual(at('a'));
    });

    test('a session that follows to the same place is no conflict', async () => {
      await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      const claim = await store.claim([user('SMITH'), session('s1')], at('a'), fencingToken);

      expect(claim.conflict).toBeUndefined();
      expect((await store.claim([session('s1')], at('b'), fencingToken)).binding.root).toEqual(user('SMITH'));
    });

    test('another incarnation of the same instance is another place', async () => {
      await store.claim([session('s1')], at('a', '1'), fencingToken);
      await store.claim([user('MILLER')], at('a', '2'), fencingToken);

      const claim = await store.claim([user('MILLER'), session('s1')], at('a', '2'), fencingToken);

      expect(claim.conflict).toEqual(at('a', '1'));
    });

    test('rebind moves a binding once when two gateways fail over together', async () => {
      const { binding } = await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      const [x, y] = await Promise.all([
        store.rebind(binding, at('b'), fencingToken),
        store.rebind(binding, at('c'), fencingToken),
      ]);

      expect(x.binding).toEqual(y.binding);
      expect(x.binding.generation).toBe(2);
      expect([x.made, y.made].sort()).toEqual([false, true]);
      expect((await store.claim([session('s1')], at('d'), fencingToken)).binding).toEqual(x.binding);
      expect(await store.counts()).toEqual(new Map([[x.binding.instance, 1]]));
    });

    test('rebind makes a binding that has ended meanwhile again, with the next generation', async () => {
      const { binding } = await store.claim([user('MILLER')], at('a'), fencingToken);
      await store.release(binding, fencingToken);

      const claim = await store.rebind(binding, at('b'), fencingToken);

      expect(claim).toEqual({ binding: { ...binding, instance: 'b', generation: 2 }, made: true });
    });

    test('rebind of a session that has become a user’s returns the user’s binding', async () => {
      const { binding } = await store.claim([session('s1')], at('a'), fencingToken);
      const known = await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      expect(await store.rebind(binding, at('b'), fencingToken)).toEqual({
        binding: known.binding,
        made: false,
      });
    });

    test('renew returns the binding that holds and makes none', async () => {
      const { binding } = await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      expect(await store.renew([user('MILLER'), session('s1'), session('s2')])).toEqual(binding);
      expect(await store.renew([session('s1')])).toEqual(binding);
      expect(await store.renew([session('s2')])).toBeUndefined();
      expect(await store.counts()).toEqual(new Map([['a', 1]]));
    });

    test('renew takes names in the form in which the store returns them', async () => {
      const { binding } = await store.claim([session('s1')], at('a'), fencingToken);

      expect(await store.renew([binding.root])).toEqual(binding);
    });

    test('release ends a binding for all its names', async () => {
      const { binding } = await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      expect(await store.release(binding, fencingToken)).toBeUndefined();

      expect(await store.renew([user('MILLER')])).toBeUndefined();
      expect(await store.renew([session('s1')])).toBeUndefined();
      expect(await store.counts()).toEqual(new Map());
      expect((await store.list({})).bindings).toEqual([]);
      expect(await store.release(binding, fencingToken)).toBeUndefined();
    });

    test('release changes nothing if the binding was moved meanwhile, and returns the one that holds', async () => {
      const { binding } = await store.claim([user('MILLER')], at('a'), fencingToken);
      const moved = await store.rebind(binding, at('b'), fencingToken);

      expect(await store.release(binding, fencingToken)).toEqual(moved.binding);
      expect(await store.renew([user('MILLER')])).toEqual(moved.binding);
    });

    test('release of a session that has become a user’s returns the user’s binding', async () => {
      const { binding } = await store.claim([session('s1')], at('a'), fencingToken);
      const known = await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);

      expect(await store.release(binding, fencingToken)).toEqual(known.binding);
      expect(await store.renew([session('s1')])).toEqual(known.binding);
    });

    test('the binding after a released one has a later generation, however it is made', async () => {
      const generationAfter = async (
        make: (name: Name, ended: Binding) => Promise<Claim>,
      ): Promise<number> => {
        const name = user(`U${made++}`);
        let { binding } = await store.claim([name], at('a'), fencingToken);
        for (const place of [at('b'), at('c')])
          ({ binding } = await store.rebind(binding, place, fencingToken));
        await store.release(binding, fencingToken);
        return (await make(name, binding)).binding.generation;
      };
      let made = 0;
      const claimed = (name: Name): Promise<Claim> => store.claim([name], at('d'), fencingToken);
      const rebound = async (name: Name, ended: Binding): Promise<Claim> => {
        const next = await claimed(name);
        await store.release(next.binding, fencingToken);
        return store.rebind(ended, at('d'), fencingToken);
      };
      const taken = async (name: Name): Promise<Claim> => {
        await store.claim([session('s9')], at('d'), fencingToken);
        return store.claim([name, session('s9')], at('e'), fencingToken);
      };

      expect(await generationAfter(claimed)).toBe(4);
      expect(await generationAfter(rebound)).toBe(5);
      expect(await generationAfter(taken)).toBe(4);
    });

    test('restore writes back missing bindings, and existing ones win', async () => {
      await store.claim([user('SMITH')], at('b'), fencingToken);
      const lost: Binding = { root: user('MILLER'), instance: 'a', incarnation: '1', generation: 4 };
      const stale: Binding = { root: user('SMITH'), instance: 'a', incarnation: '1', generation: 9 };

      const held = await store.restore([
        { binding: lost, aliases: [session('s1')], epoch: 1 },
        { binding: stale, aliases: [session('s2')], epoch: 1 },
      ]);

      expect(held).toEqual([lost, { root: user('SMITH'), instance: 'b', incarnation: '1', generation: 1 }]);
      expect((await store.claim([session('s1')], at('c'), fencingToken)).binding).toEqual(lost);
      expect((await store.claim([session('s2')], at('c'), fencingToken)).binding.instance).toBe('b');
    });

    test('restore keeps an alias that leads elsewhere by now', async () => {
      await store.claim([user('SMITH'), session('s1')], at('b'), fencingToken);
      const lost: Binding = { root: user('MILLER'), instance: 'a', incarnation: '1', generation: 1 };

      await store.restore([{ binding: lost, aliases: [session('s1')], epoch: 1 }]);

      expect((await store.claim([session('s1')], at('c'), fencingToken)).binding.root).toEqual(user('SMITH'));
    });

    test('restore takes hundreds of bindings at once', async () => {
      const entries = Array.from({ length: 300 }, (_, i) => ({
        binding: { root: user(`U${i}`), ...at(i % 2 === 0 ? 'a' : 'b'), generation: 1 },
        aliases: [],
        epoch: 1,
      }));

      expect(await store.restore(entries)).toEqual(entries.map((entry) => entry.binding));
      expect(await store.counts()).toEqual(
        new Map([
          ['a', 150],
          ['b', 150],
        ]),
      );
    });
  });
}
