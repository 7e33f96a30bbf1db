import { beforeEach, describe, expect, test } from 'vitest';
import type { GroupProposal } from '../../src/core/binding.ts';
import { forecastClaim } from '../../src/core/holdings.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, opensStores, session, user } from './affinity-store-support.ts';

/**
 * What every AffinityStore tells of the names of a request without changing anything. That a claim then does what was
 * forecast from it is part of the random histories, see affinity-histories.ts. `open` gives an empty store.
 */
export function affinityPeekContract(
  name: string,
  openStore: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name}, when it is only looked at`, () => {
    const openFor = opensStores(openStore);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    test('binds no new name, and leaves the lifetime of a known one', async () => {
      const bound = await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
      const before = await store.find([user('MILLER')]);

      const holdings = await store.peek([user('MILLER'), session('s1')], { fencingToken });
      await store.peek([user('NEW'), session('s2')], { fencingToken });

      expect(holdings).toMatchObject({
        user: { binding: bound.binding, isFound: false, hasLoggedOff: false },
        session: { binding: bound.binding, isFoundAlias: false },
      });
      const after = await store.find([user('MILLER')]);
      expect([after?.usedAt, after?.binding]).toEqual([before?.usedAt, before?.binding]);
      expect(await store.find([user('NEW'), session('s2')])).toBeUndefined();
      expect(new Map(await store.counts())).toEqual(new Map([['a', 1]]));
    });

    test('tells that a session comes back to a user who had it, so that its next claim shares it', async () => {
      const claim = (who: string) => store.claim([user(who), session('s1')], at(who), fencingToken);
      const forecast = async (who: string) => {
        const names = [user(who), session('s1')];
        return forecastClaim(names, await store.peek(names, { fencingToken }), at(who)).by;
      };
      await claim('A');
      expect(await forecast('B')).toBe('link');
      await claim('B');

      expect(await forecast('A')).toBe('user');
      expect((await claim('A')).by).toBe('user');
      expect((await store.peek([user('B'), session('s1')])).note).toBe('shared');
    });

    test('tells of a log-off, and does not undo it', async () => {
      const { binding } = await store.claim([user('MILLER')], at('a'), fencingToken);
      await store.logOff(binding, { graceMs: HOUR_MS / 2, ageMs: 0 });

      for (let i = 0; i < 2; i += 1)
        expect((await store.peek([user('MILLER')])).user).toMatchObject({ hasLoggedOff: true });
    });

    test('tells where an agent of a group would be placed, and notes no member', async () => {
      const group = (places: string): GroupProposal => ({
        name: 'sales',
        size: 0,
        places: [...places].map((id) => ({ ...at(id), most: 0, weight: 1 })),
        closed: [],
        isByLoad: false,
      });
      const placeOf = async (places: string) =>
        (await store.peek([user('B')], { group: group(places) })).place;

      expect(await placeOf('ba')).toMatchObject(at('b'));
      expect(await placeOf('ab')).toMatchObject(at('a'));
      const { binding } = await store.claim([user('A')], { ...at('a'), group: group('ab') }, fencingToken);
      expect(await placeOf('ba')).toMatchObject(at('a'));

      const alone = await store.peek([binding.root], { group: group('ba'), isMove: true });
      expect(alone.place).toMatchObject(at('b'));
    });
  });
}
