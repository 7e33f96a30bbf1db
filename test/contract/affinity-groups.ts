import { beforeEach, describe, expect, test } from 'vitest';
import type { Binding, GroupPlace, GroupProposal } from '../../src/core/binding.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, opensStores, session, user } from './affinity-store-support.ts';

const open = (id: string, most = 0, weight = 1): GroupPlace => ({ ...at(id), most, weight });

function group(name: string, places: string, more: Partial<GroupProposal> = {}): GroupProposal {
  return { name, size: 0, places: [...places].map((id) => open(id)), closed: [], isByLoad: false, ...more };
}

/** What every AffinityStore does with agents of groups. `open` gives an empty store. */
export function affinityGroupsContract(
  name: string,
  openStore: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name} with groups`, () => {
    const openFor = opensStores(openStore);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    // The proposal itself is one that no group has, so that a place shows who decided.
    const claim = (who: string, of: GroupProposal) =>
      store.claim([user(who)], { ...at('proposed'), group: of }, fencingToken);
    const placeOf = async (who: string, of: GroupProposal): Promise<string> =>
      (await claim(who, of)).binding.instance;
    const rebind = async (lost: Binding, of: GroupProposal): Promise<Binding> =>
      (await store.rebind(lost, { ...at('proposed'), group: of }, fencingToken)).binding;
    const leave = (who: Binding) => store.release(who, fencingToken);

    test('places a new group at the preferred instance, and every later member there', async () => {
      expect(await placeOf('A', group('sales', 'ab'))).toBe('a');
      expect(await placeOf('B', group('sales', 'ba'))).toBe('a');
      expect(await placeOf('C', group('other', 'ba'))).toBe('b');
    });

    test('tells that the group decided, but of the first member that the balancer did', async () => {
      const cause = { kind: 'claimed', balancer: 'least-bound' } as const;
      const causeOf = async (who: string, of?: GroupProposal) => {
        await store.claim([user(who)], { ...at('a'), cause, gateway: 'gw', group: of }, fencingToken);
        return (await store.find([user(who)]))?.origin;
      };
      expect(await causeOf('A', group('sales', 'ab'))).toMatchObject({ cause });
      expect(await causeOf('B', group('sales', 'ba'))).toMatchObject({
        gateway: 'gw',
        cause: { kind: 'grouped' },
      });
      expect(await causeOf('C', group('other', 'a', { known: 'a' }))).toMatchObject({
        cause: { kind: 'grouped' },
      });
      expect(await causeOf('D')).toMatchObject({ cause });
    });

    test('of simultaneous first claims of members, all reach one instance', async () => {
      const members = Array.from({ length: 30 }, (_, i) => `M${i}`);
      const orders = ['abcd', 'bcda', 'cdab', 'dabc'];
      const places = await Promise.all(
        members.map((one, i) => placeOf(one, group('t', orders[i % 4] ?? ''))),
      );

      expect(new Set(places).size).toBe(1);
    });

    test('an agent who is bound elsewhere stays, and the group is not drawn there', async () => {
      await store.claim([user('A')], at('b'), fencingToken);
      expect(await placeOf('B', group('sales', 'ab'))).toBe('a');

      expect(await claim('A', group('sales', 'ab'))).toMatchObject({
        binding: { instance: 'b' },
        made: false,
      });
      expect(await placeOf('C', group('sales', 'ba'))).toBe('a');
    });

    test('a user who takes over a session stays where the session was', async () => {
      await store.claim([session('s1')], at('b'), fencingToken);
      const names = [user('A'), session('s1')];
      const claimed = await store.claim(names, { ...at('a'), group: group('sales', 'a') }, fencingToken);

      expect(claimed.binding.instance).toBe('b');
    });

    test('a lost group moves together, whichever member comes first', async () => {
      const members = ['A', 'B', 'C'];
      const lost: Binding[] = [];
      for (const one of members) lost.push((await claim(one, group('sales', 'abc'))).binding);

      const orders = ['bc', 'cb', 'bc'];
      const moved = await Promise.all(lost.map((one, i) => rebind(one, group('sales', orders[i] ?? ''))));

      expect(new Set(moved.map(({ instance }) => instance)).size).toBe(1);
      expect(await placeOf('D', group('sales', 'abc'))).toBe(moved[0]?.instance);
    });

    test('a group whose instance has restarted stays together', async () => {
      const before = (await claim('A', group('sales', 'ab'))).binding;
      const again = { places: [open('b'), { ...open('a'), incarnation: '2' }] };

      const first = await rebind(before, group('sales', '', again));
      expect(first.instance).toBe('b');
      const second = await claim('B', group('sales', '', { places: again.places.toReversed() }));
      expect(second.binding.instance).toBe('b');
    });

    test('new members join the group at an instance that takes no new agents, as long as one is there', async () => {
      const first = (await claim('A', group('sales', 'ab'))).binding;
      const draining = group('sales', 'b', { closed: [at('a')] });
      const second = (await claim('B', draining)).binding;
      expect(second.instance).toBe('a');

      await leave(second);
      const third = (await claim('C', draining)).binding;
      expect(third.instance).toBe('a');

      await leave(first);
      await leave(third);
      expect(await placeOf('D', draining)).toBe('b');
      expect(await placeOf('E', group('sales', 'ab'))).toBe('b');
    });

    test('a member who logs on again during a drain returns to the group, and as the last one takes it along', async () => {
      const first = (await claim('A', group('sales', 'ab'))).binding;
      const second = (await claim('B', group('sales', 'ab'))).binding;
      const draining = group('sales', 'b', { closed: [at('a')] });
      const logOn = async (who: string): Promise<string> => {
        const proposal = { ...at('proposed'), group: draining };
        return (await store.claim([user(who)], proposal, fencingToken, undefined, ['a'])).binding.instance;
      };

      await store.logOff(second, { graceMs: HOUR_MS, ageMs: 0 });
      expect(await logOn('B')).toBe('a');

      await leave(first);
      const again = (await claim('B', draining)).binding;
      await store.logOff(again, { graceMs: HOUR_MS, ageMs: 0 });
      expect(await logOn('B')).toBe('b');
    });

    test('a member who is moved from a draining instance as the last one takes the group along', async () => {
      const only = (await claim('A', group('sales', 'ab'))).binding;
      const draining = group('sales', 'b', { closed: [at('a')] });

      expect((await rebind(only, draining)).instance).toBe('b');
      expect(await placeOf('B', draining)).toBe('b');
    });

    test('a group whose members have all left is placed again', async () => {
      const first = (await claim('A', group('sales', 'ab'))).binding;
      expect(await placeOf('B', group('sales', 'ba'))).toBe('a');
      await leave(first);
      expect(await placeOf('C', group('sales', 'ba'))).toBe('a');

      for (const who of ['B', 'C']) await leave((await claim(who, group('sales', 'ba'))).binding);
      expect(await placeOf('D', group('sales', 'ba'))).toBe('b');
    });

    test('a group that the store does not know goes where the caller knows members', async () => {
      expect(await placeOf('A', group('sales', 'ab', { known: 'b' }))).toBe('b');
      expect(await placeOf('B', group('sales', 'ab', { known: 'a' }))).toBe('b');
      const closed = { known: 'c', closed: [at('c')] };
      expect(await placeOf('C', group('drained', 'ab', closed))).toBe('c');
      expect(await placeOf('D', group('gone', 'ab', { known: 'x' }))).toBe('a');
    });

    test('by load, a group counts with the agents it will have, and not only with those who came', async () => {
      const byLoad = (size: number, places = 'ab') => ({ ...group('', places), size, isByLoad: true });

      expect(await placeOf('A', { ...byLoad(40), name: 'large' })).toBe('a');
      expect(await placeOf('B', { ...byLoad(10), name: 'small' })).toBe('b');
      expect(await placeOf('C', { ...byLoad(10), name: 'next' })).toBe('b');
      const heavy = { places: [open('a', 0, 4), open('b')] };
      expect(await placeOf('D', { ...byLoad(10), ...heavy, name: 'by weight' })).toBe('a');
    });

    test('by load, agents without a group count too, and so do members beyond the known size', async () => {
      for (const one of ['X', 'Y', 'Z']) await store.claim([user(one)], at('a'), fencingToken);
      expect(await placeOf('A', group('one', 'ab', { isByLoad: true }))).toBe('b');
      for (const one of ['B', 'C', 'D']) await placeOf(one, group('one', 'ab', { isByLoad: true }));

      expect(await placeOf('E', group('two', 'ba', { isByLoad: true }))).toBe('a');
    });

    test('a group goes where it fits, and if it fits nowhere, where there is most room', async () => {
      const places = [open('a', 20), open('b', 50)];
      expect(await placeOf('A', group('fits', '', { size: 20, places }))).toBe('a');
      expect(await placeOf('B', group('full', '', { size: 20, places }))).toBe('b');
      expect(await placeOf('C', group('too large', '', { size: 60, places }))).toBe('b');
    });

    test('tells where groups are, with their members, and which is the largest', async () => {
      expect(await store.groups()).toEqual(new Map());
      await claim('A', group('sales', 'a', { size: 7 }));
      await claim('B', group('support', 'a', { size: 2 }));
      await claim('C', group('other', 'b'));
      await claim('D', group('other', 'b'));

      expect(await store.groups()).toEqual(
        new Map([
          ['a', { groups: 2, agents: 9, largest: { name: 'sales', agents: 7 } }],
          ['b', { groups: 1, agents: 2, largest: { name: 'other', agents: 2 } }],
        ]),
      );
    });

    test('counts and listings do not show groups', async () => {
      await claim('A', group('sales', 'ab'));

      expect(await store.counts()).toEqual(new Map([['a', 1]]));
      expect((await store.list({ aliases: true })).bindings).toHaveLength(1);
    });
  });
}
