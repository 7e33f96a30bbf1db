import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Binding, Placement } from '../../src/core/binding.ts';
import type { Name } from '../../src/core/identity.ts';
import type { AffinityStore, ListedBinding } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import { eventually } from '../support/eventually.ts';

export interface OpenStore {
  readonly store: AffinityStore;
  /** Holds at the store. */
  readonly fencingToken: string;
  close(): Promise<void>;
}

export const user = (value: string): Name => ({ kind: 'user', value });
export const session = (value: string): Name => ({ kind: 'session', value });
export const at = (instance: string, incarnation = '1'): Placement => ({ instance, incarnation });

const HOUR_MS = 3_600_000;

/** What every AffinityStore must do. `open` gives an empty store. */
export function affinityStoreContract(
  name: string,
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name} as an AffinityStore`, () => {
    const opened: OpenStore[] = [];
    let store: AffinityStore;
    let fencingToken: string;

    async function openFor(idleLifetimeMs: number): Promise<AffinityStore> {
      const one = await open(idleLifetimeMs);
      opened.push(one);
      fencingToken = one.fencingToken;
      return one.store;
    }

    beforeEach(async () => {
      store = await openFor(HOUR_MS);
    });
    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close();
    });

    test('the first claim makes the binding, and every later one learns it', async () => {
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

    test('a session without a user holds a binding of its own, under a name that does not show it', async () => {
      const { binding } = await store.claim([session('secret-value')], at('a'), fencingToken);

      expect(binding.root).toEqual(storedForm(session('secret-value')));
      expect(JSON.stringify(await store.list({}))).not.toContain('secret');
    });

    test('a user takes over what its session was bound to, and nobody is moved by that', async () => {
      await store.claim([session('s1')], at('a', '7'), fencingToken);

      const known = await store.claim([user('MILLER'), session('s1')], at('b'), fencingToken);

      expect(known).toMatchObject({
        binding: { root: user('MILLER'), instance: 'a', incarnation: '7', generation: 2 },
        made: false,
      });
      expect((await store.claim([session('s1')], at('b'), fencingToken)).binding).toEqual(known.binding);
      expect(await store.counts()).toEqual(new Map([['a', 1]]));
    });

    test('a session bound elsewhere follows its user, and the caller is told from where', async () => {
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

    test('rebind makes a binding that has ended meanwhile, one generation on', async () => {
      const { binding } = await store.claim([user('MILLER')], at('a'), fencingToken);
      await store.release(user('MILLER'));

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

    test('renew takes names in the form in which the store told them', async () => {
      const { binding } = await store.claim([session('s1')], at('a'), fencingToken);

      expect(await store.renew([binding.root])).toEqual(binding);
    });

    test('release ends a binding by any of its names', async () => {
      await store.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
      await store.release(session('s1'));

      expect(await store.renew([user('MILLER')])).toBeUndefined();
      expect(await store.renew([session('s1')])).toBeUndefined();
      expect(await store.counts()).toEqual(new Map());
      await store.release(user('NOBODY'));
    });

    test('restore writes back what is missing, and what the store holds wins', async () => {
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

    test('restore leaves an alias that means something else by now', async () => {
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

    test('a listing tells the aliases too where they are asked for, each with its root', async () => {
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

    test('names keep every character that they have', async () => {
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

    test('a binding that nobody renews ends, and counts and listings agree with that', async () => {
      const short = await openFor(200);
      const begun = performance.now();
      await short.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
      await short.claim([user('SMITH')], at('b'), fencingToken);

      await eventually(async () => {
        expect(await short.counts()).toEqual(new Map());
      });

      expect(performance.now() - begun).toBeGreaterThanOrEqual(195);
      expect((await short.list({})).bindings).toEqual([]);
      expect(await short.renew([user('MILLER')])).toBeUndefined();
      expect(await short.claim([session('s1')], at('c'), fencingToken)).toMatchObject({
        made: true,
        binding: { instance: 'c', generation: 1 },
      });
      expect(await short.counts()).toEqual(new Map([['c', 1]]));
    });

    test('renewing keeps a binding and its session beyond their lifetime', async () => {
      const lifetimeMs = 200;
      const short = await openFor(lifetimeMs);
      const names = [user('MILLER'), session('s1')];
      let begun = performance.now();
      let renewed = begun;
      let { binding } = await short.claim(names, at('a'), fencingToken);

      await eventually(
        async () => {
          const now = performance.now();
          const held = await short.renew(names);
          // Who got no processor for a lifetime has not renewed it.
          if (held === undefined && performance.now() - renewed >= lifetimeMs) {
            begun = performance.now();
            renewed = begun;
            ({ binding } = await short.claim(names, at('a'), fencingToken));
          } else {
            expect(held).toEqual(binding);
            renewed = now;
          }
          expect(await short.counts()).toEqual(new Map([['a', 1]]));
          expect(performance.now() - begun).toBeGreaterThan(500);
          expect(await short.renew([session('s1')])).toEqual(binding);
        },
        { every: 20 },
      );
    });

    test('a session whose user’s binding has ended is free', async () => {
      const short = await openFor(400);
      const first = await short.claim([user('MILLER'), session('s1')], at('a'), fencingToken);
      await short.release(user('MILLER'));

      const claim = await short.claim([session('s1')], at('b'), fencingToken);

      expect(first.made).toBe(true);
      expect(claim).toMatchObject({
        made: true,
        binding: { root: storedForm(session('s1')), instance: 'b' },
      });
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

export async function listAll(
  store: AffinityStore,
  query: { instance?: string; limit: number },
): Promise<ListedBinding[]> {
  const all: ListedBinding[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(cursor === undefined ? query : { ...query, cursor });
    expect(page.bindings.length).toBeLessThanOrEqual(query.limit);
    all.push(...page.bindings);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return all;
}

/** A key prefix that no other test uses. */
export function uniquePrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}
