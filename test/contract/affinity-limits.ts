import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { forecastClaim } from '../../src/core/holdings.ts';
import type { Name } from '../../src/core/identity.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { StoreFull } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, session, user } from './affinity-store-support.ts';

/** What every AffinityStore does when a pool has all the names that it may have. `open` gives an empty store. */
export function affinityLimitsContract(
  name: string,
  open: (maxBindings: number) => Promise<OpenStore>,
): void {
  describe(`${name} with a limit`, () => {
    let opened: OpenStore;
    let store: AffinityStore;

    beforeEach(async () => {
      opened = await open(4);
      ({ store } = opened);
    });
    afterEach(() => opened.close());

    const claim = (...names: Name[]) => store.claim(names, at('a'), opened.fencingToken);
    const isBound = async (one: Name): Promise<boolean> => (await store.find([one])) !== undefined;
    const bind = async (...values: string[]): Promise<void> => {
      for (const value of values) await claim(user(value));
    };

    test('says of a name that it is new, until its second claim or renewal', async () => {
      expect(await claim(user('A'))).toMatchObject({ isNew: true });
      expect((await claim(user('A'))).isNew).toBeUndefined();
      expect((await claim(user('A'), session('1'))).isNew).toBe(true);
      expect((await claim(session('1'))).isNew).toBeUndefined();
    });

    test('gives a new name the place of the oldest one that came only once', async () => {
      await bind('A', 'B', 'C', 'D');
      await bind('A');
      await store.renew([user('B')]);

      expect((await claim(user('E'))).replaced).toEqual([user('C')]);
      expect((await claim(user('F'), session('6'))).replaced).toEqual([user('D'), user('E')]);

      expect(await isBound(user('A'))).toBe(true);
      expect(await isBound(user('B'))).toBe(true);
      expect(await isBound(user('C'))).toBe(false);
      expect(await store.counts()).toEqual(new Map([['a', 3]]));
    });

    test('refuses a new agent when all names came again, and those who are bound keep their bindings', async () => {
      for (let round = 0; round < 2; round += 1) await bind('A', 'B', 'C', 'D');

      await expect(claim(user('E'))).rejects.toBeInstanceOf(StoreFull);
      await expect(claim(session('9'))).rejects.toBeInstanceOf(StoreFull);
      await expect(claim(user('E'), session('9'))).rejects.toBeInstanceOf(StoreFull);

      for (const value of 'ABCD') expect(await isBound(user(value))).toBe(true);
      expect(await isBound(user('E'))).toBe(false);
      const { binding } = await claim(user('A'));
      await store.release(binding, opened.fencingToken);
      expect(await claim(user('E'))).toMatchObject({ made: true });
    });

    test('a look tells whether a claim will be refused, and gives no name away', async () => {
      const isRefused = async (...names: Name[]): Promise<boolean> => {
        const look = await store.peek(names, { fencingToken: opened.fencingToken, needsRoom: true });
        return forecastClaim(names, look, at('a')).isFull;
      };
      await bind('A', 'B', 'C');
      expect(await isRefused(user('E'))).toBe(false);
      await bind('D');
      // All are on probation.
      expect(await isRefused(user('E'), session('9'))).toBe(false);
      await bind('A', 'B', 'C');
      expect(await isRefused(user('E'))).toBe(false);
      expect(await isRefused(user('E'), session('9'))).toBe(true);
      // Its own name gives no way to its session, and the agent is known.
      expect(await isRefused(user('D'), session('9'))).toBe(false);
      expect(await isBound(user('D'))).toBe(true);

      await store.renew([user('D')]);
      expect(await isRefused(user('E'))).toBe(true);
      await expect(claim(user('E'))).rejects.toBeInstanceOf(StoreFull);
      expect(await isRefused(user('A'), session('9'))).toBe(false);
      const { binding } = await claim(user('A'));
      await store.release(binding, opened.fencingToken);
      expect(await isRefused(user('E'))).toBe(false);
    });

    test('a log-on that leaves its binding has its place', async () => {
      for (let round = 0; round < 2; round += 1) await bind('A', 'B', 'C', 'D');
      const { binding } = await claim(user('A'));
      await store.logOff(binding, { graceMs: 60_000, ageMs: 0 });

      const look = await store.peek([user('A')], { fencingToken: opened.fencingToken, needsRoom: true });
      expect(forecastClaim([user('A')], look, at('b'), ['a']).isFull).toBe(false);
      expect(forecastClaim([user('A')], look, at('b'), ['a']).claim).toMatchObject({ made: true });
      const again = store.claim([user('A')], at('b'), opened.fencingToken, undefined, ['a']);
      expect(await again).toMatchObject({ made: true });
    });

    test('links a new session of a bound agent, moves it and writes it back, although there is no place', async () => {
      for (let round = 0; round < 2; round += 1) await bind('A', 'B', 'C', 'D');

      const { binding } = await claim(user('A'), session('1'));
      expect((await claim(session('1'))).binding).toEqual(binding);
      expect((await store.rebind(binding, at('b'), opened.fencingToken)).made).toBe(true);
      const known = { binding: { root: user('E'), ...at('a'), generation: 3 }, aliases: [], epoch: 1 };
      expect(await store.restore([known])).toEqual([known.binding]);
    });

    test('gives up the oldest alias when it adds one, and only of the same agent', async () => {
      await opened.close();
      opened = await open(100);
      ({ store } = opened);
      const token = opened.fencingToken;
      await claim(user('A'), session('1'));
      await claim(user('B'), session('2'));

      await store.claim([user('A'), session('3')], at('a'), token, session('1'));
      await store.claim([user('A'), session('3')], at('a'), token, session('3'));
      await store.claim([user('A'), session('4')], at('a'), token, storedForm(session('2')));

      expect(await isBound(session('1'))).toBe(false);
      for (const value of '234') expect(await isBound(session(value))).toBe(true);
    });
  });
}
