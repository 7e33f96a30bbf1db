import { beforeEach, describe, expect, test } from 'vitest';
import type { Binding, Claim, GroupProposal } from '../../src/core/binding.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import type { Rebalance } from '../../src/core/rebalance.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, opensStores, session, user } from './affinity-store-support.ts';

const HEARD = { heardMs: 0, leaseMs: HOUR_MS };
const EVEN: Rebalance = { weights: { a: 1, b: 1 }, ...HEARD };

/** What every AffinityStore does with a log-on if an instance may have more than its share. */
export function affinityRebalanceContract(
  name: string,
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name} when agents log on again and the instances are uneven`, () => {
    const openFor = opensStores(open);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    const bind = async (who: string, id: string, group?: GroupProposal): Promise<Binding> =>
      (await store.claim([user(who)], { ...at(id), group }, fencingToken)).binding;
    const leave = async (binding: Binding): Promise<Binding> =>
      (await store.logOff(binding, { graceMs: HOUR_MS / 2, ageMs: 0 })) as Binding;
    const logOn = (
      who: string,
      id: string,
      rebalance: Rebalance = EVEN,
      group?: GroupProposal,
    ): Promise<Claim> =>
      store.claim(
        [user(who), session(`of ${who}`)],
        { ...at(id), group },
        fencingToken,
        undefined,
        undefined,
        rebalance,
      );
    const group = (places: string, more: Partial<GroupProposal> = {}): GroupProposal => ({
      name: 'sales',
      size: 0,
      places: [...places].map((id) => ({ ...at(id), weight: 1, most: 0 })),
      closed: [],
      isByLoad: false,
      ...more,
    });

    test('an agent who has logged off goes to the proposed instance, if that makes them more even', async () => {
      await bind('B', 'a');
      const { generation } = await leave(await bind('A', 'a'));

      const moved = await logOn('A', 'b');

      expect(moved).toMatchObject({ made: true, binding: { instance: 'b', generation: generation + 1 } });
      expect(moved.conflict).toBeUndefined();
      expect(await store.counts()).toEqual(
        new Map([
          ['a', 1],
          ['b', 1],
        ]),
      );
      expect((await store.claim([session('of A')], at('a'), fencingToken)).binding).toEqual(moved.binding);
      // Not to and fro.
      await leave(moved.binding);
      expect(await logOn('A', 'a')).toMatchObject({ made: false, binding: { instance: 'b' } });
    });

    test('an agent stays if the other instance would have as many', async () => {
      const left = await leave(await bind('A', 'a'));

      expect(await logOn('A', 'b')).toMatchObject({ made: false, binding: left });

      expect((await store.find([user('A')]))?.expiresInMs).toBeGreaterThan(0.9 * HOUR_MS);
    });

    test('shares go by weight, and an instance without a weight has none', async () => {
      for (const who of ['B', 'C', 'D']) await bind(who, 'a');
      let left = await leave(await bind('A', 'a'));
      const heavy: Rebalance = { weights: { a: 4, b: 1 }, ...HEARD };
      for (const rebalance of [heavy, { weights: { b: 1 }, ...HEARD }, { weights: { a: 1 }, ...HEARD }]) {
        expect(await logOn('A', 'b', rebalance)).toMatchObject({ made: false });
        left = await leave(left);
      }

      expect(await logOn('A', 'b', { weights: { a: 3, b: 1 }, ...HEARD })).toMatchObject({ made: true });
    });

    test('an agent stays who is logged on, or has sent a request after the log-off', async () => {
      for (const who of ['B', 'C', 'D']) await bind(who, 'a');
      const binding = await bind('A', 'a');
      expect(await logOn('A', 'b')).toMatchObject({ made: false, binding });

      const left = await leave(binding);
      await store.renew([user('A')]);
      expect(await logOn('A', 'b')).toMatchObject({ made: false, binding: left });
    });

    test('an agent stays while some gateway may not have heard of the log-off', async () => {
      for (const who of ['B', 'C', 'D']) await bind(who, 'a');
      const left = await leave(await bind('A', 'a'));

      expect(await logOn('A', 'b', { ...EVEN, heardMs: HOUR_MS })).toMatchObject({
        made: false,
        binding: left,
      });
    });

    test('an agent of a group stays with its other members', async () => {
      const sales = group('b');
      await bind('B', 'a', group('a'));
      const left = await leave(await bind('A', 'a', sales));
      for (const who of ['C', 'D']) await bind(who, 'a');

      expect(await logOn('A', 'b', EVEN, sales)).toMatchObject({ made: false, binding: left });
    });

    test('a group without other members is placed again, and those who come later follow', async () => {
      const before = await bind('A', 'a', group('ab'));
      for (const who of ['C', 'D']) await bind(who, 'a');
      await leave(before);
      const sales = group('ab', { isByLoad: true });

      expect(await logOn('A', 'proposed', EVEN, sales)).toMatchObject({
        made: true,
        binding: { instance: 'b' },
      });
      expect(await bind('B', 'proposed', group('ab'))).toMatchObject({ instance: 'b' });
    });

    test('the only member of a group stays where both instances would be as even', async () => {
      const left = await leave(await bind('A', 'a', group('ab')));
      const sales = group('ab', { isByLoad: true });

      expect(await logOn('A', 'proposed', EVEN, sales)).toMatchObject({ made: false, binding: left });
    });

    test('an agent who is bound apart from the group joins it', async () => {
      const apart = await bind('A', 'a');
      await bind('B', 'b', group('b'));
      await leave(apart);

      expect(await logOn('A', 'proposed', EVEN, group('ab'))).toMatchObject({
        made: true,
        binding: { instance: 'b' },
      });
    });
  });
}
