import { beforeEach, describe, expect, test } from 'vitest';
import type { Proposal } from '../../src/core/binding.ts';
import type { RequestName } from '../../src/core/identity.ts';
import type { Cause, Origin } from '../../src/core/origin.ts';
import type { AffinityStore, KnownBinding } from '../../src/core/ports.ts';
import { epochOf } from '../../src/core/view/view-store.ts';
import { eventually } from '../support/eventually.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, opensStores, session, user } from './affinity-store-support.ts';

const CLAIMED: Cause = { kind: 'claimed', balancer: 'least-bound' };
const MINUTE_MS = 60_000;

const proposal = (instance: string, cause: Cause = CLAIMED, gateway = 'gw1'): Proposal => ({
  ...at(instance),
  cause,
  gateway,
});
const found = (name: RequestName): RequestName => ({ ...name, found: true });

/** What every AffinityStore tells of since when and why a binding holds. */
export function affinityOriginsContract(
  name: string,
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name} as an AffinityStore with origins`, () => {
    const openFor = opensStores(open);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    async function originOf(one: RequestName): Promise<Origin | undefined> {
      return (await store.find([one]))?.origin;
    }

    test('a new binding tells since when, in which epoch, by which gateway and balancer', async () => {
      const { binding } = await store.claim([user('MILLER'), session('s1')], proposal('a'), fencingToken);

      const detailed = await store.find([session('s1')]);

      const origin = { since: expect.any(Number), epoch: epochOf(fencingToken), gateway: 'gw1' };
      expect(detailed).toEqual({
        binding,
        expiresInMs: expect.any(Number),
        found: false,
        usedAt: expect.any(Number),
        origin: { ...origin, cause: CLAIMED },
      });
      expect(Math.abs((detailed?.origin?.since ?? 0) - Date.now())).toBeLessThan(MINUTE_MS);
    });

    test('each balancer is told', async () => {
      const names = ['rendezvous', 'round-robin', 'least-bound', 'least-in-flight', 'random'] as const;
      for (const balancer of names) {
        const cause: Cause = { kind: 'claimed', balancer };
        await store.claim([user(balancer)], proposal('a', cause), fencingToken);
        expect((await originOf(user(balancer)))?.cause).toEqual(cause);
      }
    });

    test('later claims and renewals leave the origin as it is', async () => {
      await store.claim([user('MILLER')], proposal('a'), fencingToken);
      const made = await originOf(user('MILLER'));

      await store.claim([user('MILLER'), session('s1')], proposal('b', CLAIMED, 'gw2'), fencingToken);
      await store.renew([user('MILLER')]);

      expect(await originOf(user('MILLER'))).toEqual(made);
    });

    test('a move tells its cause, in any words', async () => {
      const { binding } = await store.claim([user('MILLER')], proposal('a'), fencingToken);
      const causes: Cause[] = [
        { kind: 'rebound', from: 'a.b-c_d', loss: 'restarted' },
        { kind: 'moved', by: 'KLEIN | night shift', why: `two\nlines | 99 |${'é'.repeat(480)}|7` },
        { kind: 'rebound', from: 'b', loss: 'inactive' },
      ];
      let expected = binding;
      for (const cause of causes) {
        ({ binding: expected } = await store.rebind(expected, proposal('b', cause, 'gw2'), fencingToken));
        expect(await originOf(user('MILLER'))).toMatchObject({ gateway: 'gw2', cause });
        expect((await store.renew([user('MILLER')]))?.generation).toBe(expected.generation);
      }
      // The caller's knowledge is outdated, so nothing moves.
      await store.rebind(binding, proposal('c'), fencingToken);
      expect((await originOf(user('MILLER')))?.cause).toEqual(causes.at(-1));
    });

    test('a user who joins the place of its session has been there for as long as the session', async () => {
      await store.claim([session('s1')], proposal('a'), fencingToken);
      const made = await originOf(session('s1'));

      await store.claim([user('MILLER'), session('s1')], proposal('b', CLAIMED, 'gw2'), fencingToken);

      const joined = await originOf(user('MILLER'));
      expect(joined).toEqual({ ...made, gateway: 'gw2', cause: { kind: 'joined' } });
    });

    test('what was decided without the store tells so, and since when', async () => {
      const known = (value: string, more: Partial<KnownBinding> = {}): KnownBinding => ({
        binding: { root: user(value), ...at('a'), generation: 3 },
        aliases: [session(`of ${value}`)],
        epoch: 7,
        gateway: 'gw3',
        ...more,
      });
      await store.claim([user('HELD')], proposal('b'), fencingToken);
      const held = await originOf(user('HELD'));
      const placedAt = Date.now() - 10 * MINUTE_MS;

      await store.restore([known('LOST'), known('ALONE', { epoch: 0, placedAt }), known('HELD')]);

      expect(await originOf(user('LOST'))).toMatchObject({
        epoch: 7,
        gateway: 'gw3',
        cause: { kind: 'written-back' },
      });
      const alone = await originOf(session('of ALONE'));
      expect(alone).toMatchObject({ epoch: 0, gateway: 'gw3', cause: { kind: 'placed-alone' } });
      expect(Math.abs((alone?.since ?? 0) - placedAt)).toBeLessThan(MINUTE_MS);
      expect(await originOf(user('HELD'))).toEqual(held);
    });

    test('it is told when the agent last used the binding; a move by an operator does not count', async () => {
      const usedAgo = async (): Promise<number> =>
        Date.now() - ((await store.find([user('MILLER')]))?.usedAt ?? Number.NaN);
      const from = { root: user('MILLER'), ...at('a'), generation: 3 };
      const known = { binding: from, aliases: [session('s1')], epoch: 7, usedAgoMs: 20 * MINUTE_MS };
      await store.restore([known]);
      expect(Math.abs((await usedAgo()) - 20 * MINUTE_MS)).toBeLessThan(MINUTE_MS / 4);
      expect((await store.find([user('MILLER')]))?.expiresInMs).toBeGreaterThanOrEqual(HOUR_MS - MINUTE_MS);

      const moved: Cause = { kind: 'moved', by: 'KLEIN', why: 'night' };
      const { binding } = await store.rebind(from, proposal('b', moved), fencingToken);
      expect(Math.abs((await usedAgo()) - 20 * MINUTE_MS)).toBeLessThan(MINUTE_MS / 4);

      await store.renew([session('s1')]);
      expect(await usedAgo()).toBeLessThan(MINUTE_MS / 4);
      const [listed] = (await store.list({ details: true })).bindings;
      expect(Date.now() - (listed?.usedAt ?? Number.NaN)).toBeLessThan(MINUTE_MS / 4);

      const lost: Cause = { kind: 'rebound', from: 'b', loss: 'down' };
      await store.rebind(binding, proposal('c', lost), fencingToken);
      expect(await usedAgo()).toBeLessThan(MINUTE_MS / 4);
    });

    test('a renewal that leaves the end as it is tells the later time', async () => {
      const usedAt = async (): Promise<number> => (await store.find([user('MILLER')]))?.usedAt ?? Number.NaN;
      await store.claim([user('MILLER')], proposal('a'), fencingToken);
      const made = await usedAt();
      await eventually(async () => {
        await store.renew([user('MILLER')]);
        expect(await usedAt()).toBeGreaterThan(made + 200);
      });
    });

    test('a binding whose maker gives no cause has no origin, and none of an earlier binding', async () => {
      const { binding } = await store.claim([user('MILLER')], proposal('a'), fencingToken);
      await store.release(binding, fencingToken);
      await store.claim([user('MILLER')], at('a'), fencingToken);

      expect(await store.find([user('MILLER')])).not.toHaveProperty('origin');
    });

    test('a long gateway name is shortened in the middle', async () => {
      const name = `ici-gateway-${'x'.repeat(40)}-7|c81e72`;
      await store.claim([user('MILLER')], proposal('a', CLAIMED, name), fencingToken);

      expect((await originOf(user('MILLER')))?.gateway).toBe('ici-gateway-~xx-7_c81e72');
    });

    test('the origin lives as long as its binding', async () => {
      const lifetimeMs = 200;
      ({ store, fencingToken } = await openFor(lifetimeMs));
      let begun = performance.now();
      let renewed = begun;
      await store.claim([user('MILLER')], proposal('a'), fencingToken);
      let made = await originOf(user('MILLER'));

      await eventually(
        async () => {
          const now = performance.now();
          // A test that got no processor time for a lifetime has not renewed it.
          if ((await store.renew([user('MILLER')])) === undefined && now - renewed >= lifetimeMs) {
            begun = now;
            await store.claim([user('MILLER')], proposal('a'), fencingToken);
            made = await originOf(user('MILLER'));
          }
          renewed = now;
          expect(await originOf(user('MILLER'))).toEqual(made);
          expect(performance.now() - begun).toBeGreaterThan(2 * lifetimeMs);
        },
        { every: 20 },
      );
      expect(made?.cause).toEqual(CLAIMED);
    });

    test('looking does not keep a binding alive', async () => {
      ({ store, fencingToken } = await openFor(200));
      await store.claim([user('MILLER'), session('s1')], proposal('a'), fencingToken);

      await eventually(async () => {
        expect(await store.find([user('MILLER'), session('s1')])).toBeUndefined();
      });
    });

    test('the first of the names that is bound is found, and what it is worth', async () => {
      await store.claim([found(user('MILLER')), session('s1')], proposal('a'), fencingToken);
      await store.claim([session('s2')], proposal('b'), fencingToken);
      const address = { kind: 'address', value: '10.0.0.7' } as const;

      expect(await store.find([user('NEW'), session('s1'), session('s2')])).toMatchObject({
        binding: { root: user('MILLER'), instance: 'a' },
        found: true,
      });
      expect(await store.find([session('s2'), user('MILLER')])).toMatchObject({
        binding: { instance: 'b' },
        found: false,
      });
      expect(await store.find([user('NEW'), address])).toBeUndefined();
    });
  });
}
