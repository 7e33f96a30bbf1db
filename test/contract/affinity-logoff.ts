import { beforeEach, describe, expect, test } from 'vitest';
import type { Binding } from '../../src/core/binding.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';
import type { OpenStore } from './affinity-store-support.ts';
import { at, HOUR_MS, opensStores, session, user } from './affinity-store-support.ts';

const GRACE_MS = 30_000;
const LOG_OFF = { graceMs: GRACE_MS, ageMs: 0 };

/** What every AffinityStore does when an agent logs off, and is there again. */
export function affinityLogOffContract(
  name: string,
  open: (idleLifetimeMs: number) => Promise<OpenStore>,
): void {
  describe(`${name} when agents log off`, () => {
    const openFor = opensStores(open);
    let store: AffinityStore;
    let fencingToken: string;
    let binding: Binding;

    beforeEach(async () => {
      ({ store, fencingToken } = await openFor(HOUR_MS));
      const place = { ...at('a'), cause: { kind: 'claimed', balancer: 'random' }, gateway: 'gw' } as const;
      ({ binding } = await store.claim([user('MILLER'), session('s1')], place, fencingToken));
    });

    const expiresInMs = async (): Promise<number> =>
      (await store.find([user('MILLER')]))?.expiresInMs ?? Number.NEGATIVE_INFINITY;
    const logOn = (...leaves: string[]) =>
      store.claim([user('MILLER'), session('s2')], at('b'), fencingToken, undefined, leaves);

    test('the binding has the next generation and lasts for the grace', async () => {
      const left = await store.logOff(binding, LOG_OFF);

      expect(left).toEqual({ ...binding, generation: 2 });
      const found = await store.find([session('s1')]);
      expect(found?.binding).toEqual(left);
      expect(found?.expiresInMs).toBeGreaterThan(0.9 * GRACE_MS);
      expect(found?.expiresInMs).toBeLessThan(1.1 * GRACE_MS);
      expect(await store.counts()).toEqual(new Map([['a', 1]]));
    });

    test('it is told when the agent last sent a request', async () => {
      const begun = Date.now();

      await store.logOff(binding, LOG_OFF);

      const { usedAt } = (await store.find([user('MILLER')])) ?? {};
      expect(Math.abs((usedAt ?? 0) - begun)).toBeLessThan(5_000);
    });

    test('listings show that the agent has logged off, until the next request', async () => {
      const isLoggedOff = async (): Promise<boolean | undefined> =>
        (await store.list({ details: true })).bindings[0]?.loggedOff;
      expect(await isLoggedOff()).toBeUndefined();

      await store.logOff(binding, LOG_OFF);
      expect(await isLoggedOff()).toBe(true);
      expect((await store.find([user('MILLER')]))?.loggedOff).toBe(true);

      await store.renew([user('MILLER')]);
      expect(await isLoggedOff()).toBeUndefined();
    });

    test('it ends after the grace, and the next binding has a later generation', async () => {
      const left = (await store.logOff(binding, { graceMs: 20, ageMs: 0 })) as Binding;

      await eventually(async () => expect(await store.counts()).toEqual(new Map()));
      expect(await store.find([user('MILLER')])).toBeUndefined();
      const next = await store.claim([user('MILLER')], at('b'), fencingToken);

      expect(next).toMatchObject({ made: true, binding: { instance: 'b', generation: left.generation + 1 } });
    });

    test('a gateway that missed the log-off does not bring the binding back', async () => {
      await store.logOff(binding, { graceMs: 20, ageMs: 0 });
      await eventually(async () => expect(await store.counts()).toEqual(new Map()));

      expect(await store.restore([{ binding, aliases: [], epoch: 1 }])).toEqual([undefined]);

      expect(await store.counts()).toEqual(new Map());
    });

    test('a gateway that served the agent without the store brings it back', async () => {
      const left = (await store.logOff(binding, { graceMs: 20, ageMs: 0 })) as Binding;
      await eventually(async () => expect(await store.counts()).toEqual(new Map()));

      expect(await store.restore([{ binding: left, aliases: [], epoch: 1, placedAt: Date.now() }])).toEqual([
        left,
      ]);

      expect(await store.counts()).toEqual(new Map([['a', 1]]));
    });

    test('nothing changes for another generation, a name without binding, and an alias', async () => {
      expect(await store.logOff({ ...binding, generation: 7 }, LOG_OFF)).toBeUndefined();
      expect(await store.logOff({ ...binding, root: user('SMITH') }, LOG_OFF)).toBeUndefined();
      expect(await store.logOff({ ...binding, root: session('s1') }, LOG_OFF)).toBeUndefined();

      expect(await expiresInMs()).toBeGreaterThan(HOUR_MS / 2);
    });

    const signsOfLife: Record<string, (left: Binding) => Promise<unknown>> = {
      'a claim': () => store.claim([session('s1')], at('b'), fencingToken),
      'a renewal': () => store.renew([user('MILLER')]),
      'a log-on where nothing drains': () => logOn(),
      'a log-on while another instance drains': () => logOn('c'),
      'a write-back of a gateway that served the agent without the store': (left) =>
        store.restore([{ binding: left, aliases: [], epoch: 1, placedAt: Date.now() }]),
    };

    test.each(Object.keys(signsOfLife))('%s undoes it', async (how) => {
      const left = (await store.logOff(binding, LOG_OFF)) as Binding;

      await signsOfLife[how]?.(left);

      expect(await expiresInMs()).toBeGreaterThan(HOUR_MS / 2);
      expect(await store.counts()).toEqual(new Map([['a', 1]]));
      expect(await store.logOff(left, { ...LOG_OFF, isAgain: true })).toBeUndefined();
      expect(await expiresInMs()).toBeGreaterThan(HOUR_MS / 2);
      // So that no log-on moves the agent any more.
      expect(await logOn('a')).toMatchObject({ made: false, binding: left });
    });

    test('it can be told again with an earlier time, which a renewal for a request after that undoes', async () => {
      const first = (await store.logOff(binding, LOG_OFF)) as Binding;

      const left = await store.logOff(first, { graceMs: GRACE_MS, ageMs: 2_000, isAgain: true });

      expect(left).toEqual({ ...binding, generation: 3 });
      expect(await expiresInMs()).toBeLessThan(1.1 * GRACE_MS);
      expect(await store.renew([user('MILLER')], 1_000)).toEqual(left);
    });

    test('a renewal for a request that ended before it does not undo it', async () => {
      await store.logOff(binding, LOG_OFF);

      expect(await store.renew([user('MILLER')], 1_000)).toBeUndefined();

      expect(await expiresInMs()).toBeLessThan(1.1 * GRACE_MS);
    });

    test('a renewal for a request that ended while the agent logged off undoes it', async () => {
      const left = await store.logOff(binding, { graceMs: GRACE_MS, ageMs: 1_000 });

      expect(await store.renew([user('MILLER')], 1_000)).toEqual(left);

      expect(await expiresInMs()).toBeGreaterThan(HOUR_MS / 2);
    });

    test('a write-back of what is known anyway does not undo it', async () => {
      const left = (await store.logOff(binding, LOG_OFF)) as Binding;

      expect(await store.restore([{ binding, aliases: [session('s3')], epoch: 1 }])).toEqual([left]);

      expect(await expiresInMs()).toBeLessThan(1.1 * GRACE_MS);
    });

    test('a log-on leaves an instance that drains, and only after a log-off', async () => {
      expect(await logOn('a')).toMatchObject({ made: false, binding });
      const left = (await store.logOff(binding, LOG_OFF)) as Binding;

      const moved = await logOn('a');

      expect(moved).toMatchObject({
        made: true,
        binding: { instance: 'b', generation: left.generation + 1 },
      });
      expect(moved.conflict).toBeUndefined();
      expect(await store.counts()).toEqual(new Map([['b', 1]]));
      expect((await store.claim([session('s1')], at('c'), fencingToken)).binding).toEqual(moved.binding);
      expect(await logOn('b')).toMatchObject({ made: false, binding: moved.binding });
    });

    test('a second log-off does not make the binding last longer', async () => {
      const left = (await store.logOff(binding, { graceMs: 1_000, ageMs: 0 })) as Binding;

      await store.logOff(left, LOG_OFF);

      expect(await expiresInMs()).toBeLessThan(1_100);
    });
  });
}
