import { beforeEach, describe, expect, test } from 'vitest';
import type { AffinityStore } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import { eventually } from '../support/eventually.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, listAll, opensStores, session, user } from './affinity-store-support.ts';

/** What every AffinityStore tells of its contents, in which form it keeps names, and when bindings end. */
export function affinityContentsContract(
  name: string,
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name} as an AffinityStore with contents`, () => {
    const openFor = opensStores(open);
    let store: AffinityStore;
    let fencingToken: string;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
    });

    test('counts and listings tell the live bindings of each instance', async () => {
      for (let i = 0; i < 30; i += 1) {
        await store.claim([user(`U${i}`), session(`s${i}`)], at(i % 3 === 0 ? 'a' : 'b'), fencingToken);
      }

      expect(new Map(await store.counts())).toEqual(
        new Map([
          ['a', 10],
          ['b', 20],
        ]),
      );
      expect(await listAll(store, { instance: 'a', limit: 100 })).toHaveLength(10);
      const pages = await listAll(store, { limit: 7 });
      expect(pages.map(({ binding }) => binding.root.value).sort()).toEqual(
        Array.from({ length: 30 }, (_, i) => `U${i}`).sort(),
      );
      for (const { expiresInMs } of pages) {
        expect(expiresInMs).toBeGreaterThan(HOUR_MS - 60_000);
        expect(expiresInMs).toBeLessThanOrEqual(HOUR_MS + HOUR_MS / 32);
      }
    });

    test('a page is no longer than its limit and the last has no cursor', async () => {
      for (let i = 0; i < 5; i += 1) await store.claim([user(`U${i}`)], at('a'), fencingToken);

      const first = await store.list({ limit: 3 });
      const second = await store.list({
        limit: 3,
        ...(first.cursor === undefined ? {} : { cursor: first.cursor }),
      });

      expect(first.bindings).toHaveLength(3);
      expect(first.cursor).toBeDefined();
      expect(second.bindings).toHaveLength(2);
      expect(second.cursor).toBeUndefined();
    });

    test('a listing has the aliases on request, each with its root', async () => {
      for (let i = 0; i < 12; i += 1)
        await store.claim([user(`U${i}`), session(`s${i}`)], at('a'), fencingToken);
      await store.claim([user('U3'), session('again')], at('b'), fencingToken);
      await store.claim([session('alone')], at('b'), fencingToken);

      const told = await tellAll(store, 5);

      const of = (value: string): string => storedForm(session(value)).value;
      expect(told.roots.sort()).toEqual(
        [...Array.from({ length: 12 }, (_, i) => `U${i}`), of('alone')].sort(),
      );
      expect(told.aliases.sort()).toEqual(
        [...Array.from({ length: 12 }, (_, i) => `${of(`s${i}`)} U${i}`), `${of('again')} U3`].sort(),
      );
      expect((await store.list({})).aliases).toBeUndefined();
    });

    test('names keep every character', async () => {
      const odd = ['A|B', 'Ä Ö\nÜ', '=x', '>1|y', '{z}', '', 'L'.repeat(300), '"\\"', 'N\u0000L'];
      for (const [i, value] of odd.entries()) {
        const { binding } = await store.claim([user(value), session(`s${i}`)], at('a'), fencingToken);
        expect(binding.root).toEqual(storedForm(user(value)));
        expect((await store.claim([session(`s${i}`)], at('b'), fencingToken)).binding).toEqual(binding);
      }
      expect(await listAll(store, { limit: 3 })).toHaveLength(odd.length);
    });

    test('kinds of names do not mix', async () => {
      await store.claim([user('X')], at('a'), fencingToken);
      await store.claim([{ kind: 'address', value: 'X' }], at('b'), fencingToken);
      await store.claim([session('X')], at('c'), fencingToken);

      expect(await store.counts()).toEqual(
        new Map([
          ['a', 1],
          ['b', 1],
          ['c', 1],
        ]),
      );
    });

    test('an unknown or unwieldy incarnation is kept in a form that can be compared', async () => {
      const unknown = await store.claim([user('A')], at('a', ''), fencingToken);
      const unwieldy = await store.claim(
        [user('B')],
        at('a', 'Sun Nov 22 01:36:00 UTC 2026 | pid 4711'),
        fencingToken,
      );
      const again = await store.claim([user('B')], at('a', unwieldy.binding.incarnation), fencingToken);

      expect(unknown.binding.incarnation).toBe('');
      expect(unwieldy.binding.incarnation).toMatch(/^[A-Za-z0-9_-]{22}$/);
      expect(again.binding).toEqual(unwieldy.binding);
    });

    test('an instance id that configuration would not allow is refused', async () => {
      await expect(store.claim([user('A')], at('a|b'), fencingToken)).rejects.toThrow(TypeError);
    });

    test('a binding that is not renewed ends, and disappears from counts and listings', async () => {
      ({ store, fencingToken } = await openFor(200));
      const begun = performance.now();
      await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
      await store.claim([user('SMITH')], at('b'), fencingToken);

      await eventually(async () => {
        expect(await store.counts()).toEqual(new Map());
      });

      expect(performance.now() - begun).toBeGreaterThanOrEqual(195);
      expect((await store.list({})).bindings).toEqual([]);
      expect(await store.renew([user('MILLER')])).toBeUndefined();
      expect(await store.claim([session('s1')], at('c'), fencingToken)).toMatchObject({
        made: true,
        binding: { instance: 'c', generation: 1 },
      });
      await eventually(async () => {
        // On a busy machine it may have ended again.
        await store.claim([session('s1')], at('c'), fencingToken);
        expect(await store.counts()).toEqual(new Map([['c', 1]]));
      });
    });

    test('renewing keeps a binding and its session beyond their lifetime', async () => {
      const lifetimeMs = 200;
      ({ store, fencingToken } = await openFor(lifetimeMs));
      const names = [user('MILLER'), session('s1')];
      let begun = performance.now();
      let renewed = begun;
      let { binding } = await store.claim(names, at('a'), fencingToken);

      await eventually(
        async () => {
          const now = performance.now();
          const held = await store.renew(names);
          // A test that got no processor time for a lifetime has not renewed it.
          if (held === undefined && performance.now() - renewed >= lifetimeMs) {
            begun = performance.now();
            renewed = begun;
            ({ binding } = await store.claim(names, at('a'), fencingToken));
          } else {
            expect(held).toEqual(binding);
            renewed = now;
          }
          expect(await store.counts()).toEqual(new Map([['a', 1]]));
          expect(performance.now() - begun).toBeGreaterThan(500);
          expect(await store.renew([session('s1')])).toEqual(binding);
        },
        { every: 20 },
      );
    });

    test('a session whose user’s binding was released leads to the user’s next binding', async () => {
      const first = await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
      await store.release(first.binding, fencingToken);

      const claim = await store.claim([session('s1')], at('b'), fencingToken);

      expect(claim).toMatchObject({ made: true, binding: { root: user('MILLER'), instance: 'b' } });
      expect(await store.claim([user('MILLER')], at('c'), fencingToken)).toMatchObject({
        made: false,
        binding: claim.binding,
      });
      expect(await store.counts()).toEqual(new Map([['b', 1]]));
    });
  });
}

/** Every root, and every alias with its root, from pages of `limit` lines. */
async function tellAll(store: AffinityStore, limit: number): Promise<{ roots: string[]; aliases: string[] }> {
  const roots: string[] = [];
  const aliases: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ aliases: true, limit, ...(cursor === undefined ? {} : { cursor }) });
    expect(page.bindings.length + (page.aliases?.length ?? 0)).toBeLessThanOrEqual(limit);
    roots.push(...page.bindings.map(({ binding }) => binding.root.value));
    aliases.push(...(page.aliases ?? []).map(({ name, root }) => `${name.value} ${root.value}`));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return { roots, aliases };
}
