import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { Binding } from '../../src/core/binding.ts';
import type { KnownBinding } from '../../src/core/ports.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { at, session, uniquePrefix, user } from '../contract/affinity-store-support.ts';
import { eventually } from '../support/eventually.ts';
import { openViewStore, setFencingToken } from '../support/fencing-token.ts';
import { redisCommand } from '../support/redis-command.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const HOUR_MS = 3_600_000;
const port = Number(new URL(inject('redisUrl')).port);

describe('what snapshots offer to a Redis whose view store is closed', () => {
  let redis: RedisConnection;
  let keyPrefix: string;
  let store: RedisStore;

  beforeEach(async () => {
    redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    await eventually(() => redis.ping());
    begin();
    await close('1');
  });
  afterEach(async () => {
    await store.close();
    await redis.close();
  });

  function begin(): void {
    keyPrefix = uniquePrefix();
    store = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
  }

  /** A store generation begins at that time. */
  async function close(since: string): Promise<void> {
    await redisCommand(port, 'HSET', `${keyPrefix}:{crm}:ledger`, 'open', '', 'since', since);
  }

  const bound = (instance: string, generation: number): Binding => ({
    root: user('MILLER'),
    ...at(instance),
    generation,
  });
  const living = (instance: string, generation: number): KnownBinding => ({
    binding: bound(instance, generation),
    aliases: [],
    epoch: 4,
  });
  const alone = (instance: string): KnownBinding => ({
    binding: bound(instance, 0),
    aliases: [],
    epoch: 0,
    placedAt: Date.now(),
  });
  const snapshot = (instance: string, generation: number, minutesAgo: number): KnownBinding => ({
    binding: bound(instance, generation),
    aliases: [session(`of-${instance}`)],
    epoch: 0,
    snapshotAgoMs: minutesAgo * 60_000,
  });
  const place = async (): Promise<string | undefined> =>
    (await store.find([user('MILLER')]))?.binding.instance;

  /** Offers them in every order, each time to an empty store. */
  async function placesAfter(...offered: KnownBinding[]): Promise<Set<string | undefined>> {
    const places = new Set<string | undefined>();
    for (const order of ordersOf(offered)) {
      begin();
      await close('1');
      for (const entry of order) await store.restore([entry]);
      places.add(await place());
    }
    return places;
  }

  test('a binding comes back with its names, and nothing is offered once the view store is open', async () => {
    await store.restore([snapshot('a', 3, 5)]);
    expect((await store.find([session('of-a')]))?.binding).toEqual(bound('a', 3));
    await store.restore([{ ...snapshot('b', 9, 1), binding: { ...bound('b', 9), root: user('SMITH') } }]);
    await openViewStore(port, keyPrefix);
    await store.restore([{ ...snapshot('b', 9, 1), binding: { ...bound('b', 9), root: user('JONES') } }]);
    expect(await store.restore([snapshot('c', 9, 1)])).toEqual([bound('a', 3)]);
    expect(await store.find([user('JONES')])).toBeUndefined();
    expect((await store.find([user('SMITH')]))?.binding.instance).toBe('b');
    expect(await place()).toBe('a');
  });

  test('the snapshot that knew the agent later counts, whatever the generations and the order', async () => {
    expect(await placesAfter(snapshot('a', 3, 60), snapshot('b', 4, 5))).toEqual(new Set(['b']));
    expect(await placesAfter(snapshot('a', 9, 60), snapshot('b', 1, 5), snapshot('c', 7, 20))).toEqual(
      new Set(['b']),
    );
  });

  test('what a living gateway knows counts more than any snapshot, in any order', async () => {
    const offered = [snapshot('a', 9, 0), living('b', 1), snapshot('c', 7, 1)];
    expect(await placesAfter(...offered)).toEqual(new Set(['b']));
    expect(await placesAfter(snapshot('a', 9, 0), alone('b'), snapshot('c', 7, 1))).toEqual(new Set(['b']));
    // Among the living it stays as it was.
    expect(await placesAfter(snapshot('a', 9, 0), living('b', 2), living('c', 3))).toEqual(new Set(['c']));
    expect(await placesAfter(snapshot('a', 9, 0), living('b', 2), alone('c'))).toEqual(new Set(['b']));
  });

  test('a living gateway that has the same confirms it: no decision made alone replaces it any more', async () => {
    await store.restore([snapshot('a', 3, 0)]);
    await store.restore([living('a', 3)]);
    await store.restore([alone('b')]);
    expect(await place()).toBe('a');
  });

  test('what came from a snapshot counts like any other binding when the store closes again', async () => {
    await store.restore([snapshot('a', 3, 0)]);
    await close('2');
    await store.restore([alone('b')]);
    await store.restore([snapshot('c', 2, 0)]);
    expect(await place()).toBe('a');
  });

  test('a binding that an operator has ended is not brought back while the store knows that', async () => {
    await openViewStore(port, keyPrefix);
    const fencingToken = await setFencingToken(port, keyPrefix);
    const { binding } = await store.claim([user('MILLER')], at('a'), fencingToken);
    await store.release(binding, fencingToken);
    await close('2');
    expect(await store.restore([snapshot('a', binding.generation, 1)])).toEqual([undefined]);
    expect(await place()).toBeUndefined();
  });

  test('other gateways do not learn of it as if it were known: they would write it back as their own', async () => {
    const news: string[] = [];
    const other = new RedisStore(redis, 'crm', { keyPrefix, idleLifetimeMs: HOUR_MS });
    await new Promise<void>((resolve) => {
      other.listen({
        onBound: ({ root }) => void news.push(root.value),
        onMoved: () => undefined,
        onLoggedOff: () => undefined,
        onGap: resolve,
      });
    });
    await store.restore([snapshot('a', 3, 0)]);
    await store.restore([{ ...living('a', 3), binding: { ...bound('a', 3), root: user('SMITH') } }]);
    await eventually(() => expect(news).toEqual(['SMITH']));
    await other.close();
  });
});

function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) => ordersOf(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
