import { beforeEach, describe, expect, test } from 'vitest';
import { quantumOf } from '../../src/affinity/packing.ts';
import type { Name } from '../../src/core/identity.ts';
import type { AffinityStore, BindingQuery, ListedAlias } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import { eventually } from '../support/eventually.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, listAll, opensStores, session, user } from './affinity-store-support.ts';

/** By which every AffinityStore can filter a listing. */
export function affinityFiltersContract(
  name: string,
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name} as an AffinityStore with filters`, () => {
    const openFor = opensStores(open);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    async function namesBy(query: BindingQuery & { limit: number }): Promise<string[]> {
      return (await listAll(store, query)).map(({ binding }) => binding.root.value).sort();
    }

    test('by the begin of the name, and by instance too', async () => {
      const address: Name = { kind: 'address', value: '10.0.0.7' };
      const claims: readonly (readonly [Name, string])[] = [
        [user('MILLER'), 'a'],
        [user('MILTON'), 'b'],
        [user('MIL%'), 'b'],
        [user('SMITH'), 'a'],
        [user('Ä1'), 'a'],
        [session('MILLER'), 'a'],
        [address, 'a'],
      ];
      for (const [one, instance] of claims) await store.claim([one], at(instance), fencingToken);

      for (const limit of [1, 100]) {
        expect(await namesBy({ prefix: 'MIL', limit })).toEqual(['MIL%', 'MILLER', 'MILTON']);
        expect(await namesBy({ prefix: 'MIL', instance: 'b', limit })).toEqual(['MIL%', 'MILTON']);
        expect(await namesBy({ prefix: 'MIL%', limit })).toEqual(['MIL%']);
        expect(await namesBy({ prefix: 'Ä', limit })).toEqual(['Ä1']);
        expect(await namesBy({ prefix: '10.0.', limit })).toEqual(['10.0.0.7']);
        expect(await namesBy({ prefix: 'X', limit })).toEqual([]);
        expect(await namesBy({ prefix: '', limit })).toHaveLength(claims.length);
      }
    });

    test('by how long the agent has been idle', async () => {
      const lifetimeMs = 20_000;
      ({ store, fencingToken } = await openFor(lifetimeMs));
      await store.claim([user('IDLE')], at('a'), fencingToken);
      const claimedAt = performance.now();

      const idleMs = await eventually(async () => {
        // The whole time of IDLE, so that it is longer than a listing takes, also on a busy machine.
        const idleMs = Math.floor(performance.now() - claimedAt - quantumOf(lifetimeMs));
        expect(idleMs).toBeGreaterThan(0);
        await store.claim([user('BUSY')], at('a'), fencingToken);
        expect(await namesBy({ idleMs, limit: 100 })).toEqual(['IDLE']);
        return idleMs;
      });
      expect(
        await Promise.all([
          namesBy({ idleMs: 0, limit: 100 }),
          namesBy({ idleMs, prefix: 'I', limit: 100 }),
          namesBy({ idleMs: HOUR_MS, limit: 100 }),
        ]),
      ).toEqual([['BUSY', 'IDLE'], ['IDLE'], []]);
    });

    test('the aliases of some roots', async () => {
      for (let i = 0; i < 12; i += 1)
        await store.claim([user(`U${i}`), session(`s${i}`)], at('a'), fencingToken);
      for (const again of ['s3b', 's3c'])
        await store.claim([user('U3'), { ...session(again), found: true }], at('b'), fencingToken);
      await store.claim([user('X|U3'), session('other')], at('b'), fencingToken);

      for (const limit of [1, 2, 100]) {
        const aliases: ListedAlias[] = [];
        let cursor: string | undefined;
        do {
          const query = {
            aliasesOf: [user('U3'), user('U4')],
            limit,
            ...(cursor === undefined ? {} : { cursor }),
          };
          const page = await store.list(query);
          expect(page.bindings).toEqual([]);
          expect(page.aliases?.length ?? 0).toBeLessThanOrEqual(limit);
          aliases.push(...(page.aliases ?? []));
          cursor = page.cursor;
        } while (cursor !== undefined);
        const toU4 = aliases.filter(({ root }) => root.value === 'U4').map((alias) => alias.name);
        expect(toU4).toEqual([storedForm(session('s4'))]);
        expect(aliases.map((alias) => alias.name.value).sort()).toEqual(
          ['s3', 's3b', 's3c', 's4'].map((value) => storedForm(session(value)).value).sort(),
        );
      }
      expect((await store.list({ aliasesOf: [user('NEW')] })).aliases).toEqual([]);
    });

    test('details come on request', async () => {
      const cause = { kind: 'claimed', balancer: 'random' } as const;
      await store.claim([{ ...user('U'), found: true }], { ...at('a'), cause, gateway: 'gw1' }, fencingToken);

      const [plain] = await listAll(store, { limit: 10 });
      const [detailed] = await listAll(store, { limit: 10, details: true });

      expect(Object.keys(plain ?? {}).sort()).toEqual(['binding', 'expiresInMs']);
      expect(detailed).toMatchObject({ binding: plain?.binding, found: true, origin: { cause } });
    });
  });
}
