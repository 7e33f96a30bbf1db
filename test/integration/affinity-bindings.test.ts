import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BindingCache } from '../../src/affinity/binding-cache.ts';
import { Bindings } from '../../src/affinity/bindings.ts';
import { RedisStore } from '../../src/affinity/redis-store.ts';
import type { Placement } from '../../src/core/binding.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { Name } from '../../src/core/identity.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { eventually } from '../support/eventually.ts';
import { redisCommand } from '../support/redis-command.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const A: Placement = { instance: 'a', incarnation: '1' };
const B: Placement = { instance: 'b', incarnation: '1' };
const C: Placement = { instance: 'c', incarnation: '1' };
const user = (value: string): Name => ({ kind: 'user', value });
const session = (value: string): Name => ({ kind: 'session', value });

interface Side {
  readonly bindings: Bindings;
  readonly conflicts: string[];
  readonly states: string[];
  /** Operations that reached for the store. */
  readonly operations: string[];
  readonly connection: RedisConnection;
}

let redis: RedisServer;
let sides: Side[];

async function open({
  onStoreLoss = 'continue' as 'continue' | 'refuse',
  idleLifetimeMs = 60_000,
  sessionsAreProvisional = true,
} = {}): Promise<Side> {
  let connected: () => void = () => {};
  const up = new Promise<void>((resolve) => {
    connected = resolve;
  });
  const conflicts: string[] = [];
  const states: string[] = [];
  const operations: string[] = [];
  let bindings: Bindings | undefined;
  const connection = openRedis({
    url: redis.url,
    onState: (link, state, detail) => {
      if (link !== 'claims') return;
      if (state === 'up') connected();
      else bindings?.storeIsDown(detail);
    },
  });
  await up;
  bindings = new Bindings({
    store: new RedisStore(connection, 'ici', { keyPrefix: 'test', idleLifetimeMs }),
    cache: new BindingCache({ maxEntries: 1_000, idleLifetimeMs }),
    onStoreLoss,
    sessionsAreProvisional,
    events: {
      onStoreState: (state, detail) => states.push(`${state}: ${detail}`),
      onRebound: () => {},
      onConflict: (names, was, now) =>
        conflicts.push(`${names.map(({ value }) => value).join('+')}: ${was.instance} -> ${now.instance}`),
      onOperation: (operation) => operations.push(operation),
    },
  });
  await bindings.start();
  const side = { bindings, conflicts, states, operations, connection };
  sides.push(side);
  return side;
}

const available = (...which: Side[]): Promise<void> =>
  eventually(() => {
    for (const { bindings } of which) expect(bindings.available).toBe(true);
  });

beforeEach(async () => {
  redis = await startRedis();
  sides = [];
});

afterEach(async () => {
  for (const { bindings, connection } of sides) {
    await bindings.close();
    await connection.close();
  }
  await redis.stop();
});

const claim = async ({ bindings }: Side, names: readonly Name[], proposal: Placement, storeless = proposal) =>
  (await bindings.claim(names, proposal, storeless)).binding.instance;

/** Claims until the cache is trusted, which it is once the gateway hears of moves. */
async function known(side: Side, name: string, proposal: Placement): Promise<void> {
  await eventually(async () => {
    await claim(side, [user(name)], proposal);
    const entry = side.bindings.find(name, undefined);
    expect(entry !== undefined && side.bindings.isTrusted(entry)).toBe(true);
  });
  side.operations.length = 0;
}

describe('a known agent', () => {
  test('costs no round trip to the store', async () => {
    const one = await open();
    await known(one, 'U', A);
    for (let i = 0; i < 100; i += 1) {
      const entry = one.bindings.find('U', undefined);
      expect(entry?.binding.instance).toBe('a');
      expect(entry !== undefined && one.bindings.isTrusted(entry)).toBe(true);
    }
    expect(one.operations).toEqual([]);
  });

  test('whom another gateway moves is asked for again', async () => {
    const [one, two] = [await open(), await open()];
    await claim(one, [user('U')], A);
    const held = (await two.bindings.claim([user('U')], B, B)).binding;
    await two.bindings.rebind([user('U')], held, C, C);
    await eventually(() => expect(one.bindings.find('U', undefined)).toBeUndefined());
    expect(await claim(one, [user('U')], A)).toBe('c');
  });

  test('is asked for each time while the gateway would not hear of a move', async () => {
    const one = await open();
    await known(one, 'U', A);
    const entry = one.bindings.find('U', undefined);
    one.bindings.hearing('down');
    expect(entry !== undefined && one.bindings.isTrusted(entry)).toBe(false);
    one.bindings.hearing('up');
    // What was cached before may have moved meanwhile; what the store tells from now on is trusted.
    expect(entry !== undefined && one.bindings.isTrusted(entry)).toBe(false);
    await claim(one, [user('U')], B);
    expect(one.bindings.isTrusted(one.bindings.find('U', undefined) as typeof entry & object)).toBe(true);
  });

  test('with a session that is new needs the store once, which links them', async () => {
    const one = await open();
    await claim(one, [user('U')], A);
    expect(one.bindings.find('U', 'S')).toBeUndefined();
    expect(await claim(one, [user('U'), session('S')], B)).toBe('a');
    expect(one.bindings.find(undefined, 'S')?.binding.root).toEqual(user('U'));
  });

  test('is renewed in the background before the binding could end in the store', async () => {
    const one = await open({ idleLifetimeMs: 1_000 });
    await known(one, 'U', A);
    const until = performance.now() + 2_500;
    await eventually(
      async () => {
        // As a request does.
        const entry = one.bindings.find('U', undefined);
        if (entry === undefined || !one.bindings.isTrusted(entry)) await claim(one, [user('U')], A);
        expect(performance.now()).toBeGreaterThan(until);
      },
      { within: 5_000 },
    );
    // Far longer than a lifetime, and never asked for again but where moves may have been missed at the start.
    expect(one.operations.filter((operation) => operation === 'claim').length).toBeLessThanOrEqual(1);
    expect(one.operations.filter((operation) => operation === 'renew').length).toBeGreaterThan(5);
  });
});

describe('a session seen alone', () => {
  test('is asked for each time, because the user may since have been seen beside it elsewhere', async () => {
    const [one, two] = [await open(), await open()];
    await claim(one, [session('S')], A);
    const entry = one.bindings.find(undefined, 'S');
    expect(entry !== undefined && one.bindings.isTrusted(entry)).toBe(false);

    await claim(two, [user('U')], B);
    expect(await claim(two, [user('U'), session('S')], B)).toBe('b');
    expect(two.conflicts).toEqual(['U+S: a -> b']);
    expect(await claim(one, [session('S')], A)).toBe('b');
  });

  test('is trusted where nothing ever names a user', async () => {
    const one = await open({ sessionsAreProvisional: false });
    await claim(one, [session('S')], A);
    const entry = one.bindings.find(undefined, 'S');
    expect(entry !== undefined && one.bindings.isTrusted(entry)).toBe(true);
  });
});

describe('a process that stood still', () => {
  test('does not take its own pause for a slow Redis', async () => {
    const one = await open();
    const claimed = claim(one, [user('U')], A);
    const until = performance.now() + 400;
    while (performance.now() < until);
    expect(await claimed).toBe('a');
    expect(one.operations).toEqual(['claim']);
    expect(one.bindings.available).toBe(true);
  });
});

describe('while the store is away', () => {
  test('known agents stay, new ones are placed as everybody would, and both are written back', async () => {
    const [one, two] = [await open(), await open()];
    await claim(one, [user('KNOWN')], A);
    await redis.kill();
    await eventually(() => expect([one.bindings.available, two.bindings.available]).toEqual([false, false]));

    expect(await claim(one, [user('KNOWN')], B)).toBe('a');
    const placed = await one.bindings.claim([user('NEW'), session('S')], A, C);
    expect([placed.binding.instance, placed.decision]).toEqual(['c', 'storeless']);
    expect(await claim(one, [user('NEW')], A, B)).toBe('c');

    await redis.start();
    await available(one, two);
    expect(await claim(two, [user('KNOWN')], B)).toBe('a');
    expect(await claim(two, [session('S')], B)).toBe('c');
    expect(one.conflicts).toEqual([]);
  });

  test('a new session of a known agent is his from then on, and stays his when the store is back', async () => {
    const [one, two] = [await open(), await open()];
    await claim(one, [user('KNOWN')], A);
    await redis.kill();
    await eventually(() => expect([one.bindings.available, two.bindings.available]).toEqual([false, false]));

    expect(await claim(one, [user('KNOWN'), session('RELOGON')], B)).toBe('a');
    expect(await claim(one, [session('RELOGON')], B)).toBe('a');
    expect(one.bindings.find('KNOWN', 'RELOGON')?.binding.instance).toBe('a');
    await redis.start();
    await available(one, two);
    expect(await claim(two, [session('RELOGON')], B)).toBe('a');
  });

  test('a session that was placed alone and its user stay together once they were seen together', async () => {
    const one = await open();
    await redis.kill();
    await eventually(() => expect(one.bindings.available).toBe(false));
    await claim(one, [session('S')], A);
    const together = await claim(one, [user('U'), session('S')], B);
    expect(await claim(one, [user('U')], C)).toBe(together);
    expect(await claim(one, [session('S')], C)).toBe(together);
  });

  test('a move goes where every gateway would move it', async () => {
    const one = await open();
    const held = (await one.bindings.claim([user('U')], A, A)).binding;
    await redis.kill();
    await eventually(() => expect(one.bindings.available).toBe(false));
    const moved = await one.bindings.rebind([user('U')], held, B, C);
    expect(moved.binding.instance).toBe('c');
  });

  test('a move of an agent who came with a new session before is made at the store all the same', async () => {
    const [one, two] = [await open(), await open()];
    const held = (await one.bindings.claim([user('U')], A, A)).binding;
    redis.pause();
    await eventually(async () => {
      await claim(one, [user('PROBE')], A);
      expect(one.bindings.available).toBe(false);
    });
    await claim(one, [user('U'), session('NEW')], A);
    await one.bindings.rebind([user('U')], held, B, B);
    redis.resume();
    await available(one, two);
    await eventually(async () => expect(await claim(two, [user('U')], C)).toBe('b'));
    expect(one.conflicts).toEqual([]);
  });

  test('the reason is told, and told again when it changes', async () => {
    const one = await open();
    await redis.kill();
    await eventually(() => expect(one.states.some((state) => state.startsWith('away: '))).toBe(true));
    const told = one.states.filter((state) => state.startsWith('away: '));
    expect(new Set(told).size).toBe(told.length);
    expect(told.length).toBeLessThan(6);
  });

  test('where two gateways placed one agent differently, the store decides and it is counted', async () => {
    const [one, two] = [await open(), await open()];
    await redis.kill();
    await eventually(() => expect([one.bindings.available, two.bindings.available]).toEqual([false, false]));
    await claim(one, [user('U')], A);
    await claim(two, [user('U')], B);

    await redis.start();
    await available(one, two);
    expect(await claim(one, [user('U')], C)).toBe(await claim(two, [user('U')], C));
    expect([...one.conflicts, ...two.conflicts].length).toBe(1);
  });

  test('a move is made at the store when it is back', async () => {
    const [one, two] = [await open(), await open()];
    const held = (await one.bindings.claim([user('U')], A, A)).binding;
    redis.pause();
    const moved = await one.bindings.rebind([user('U')], held, B, C);
    expect(moved.binding.instance).toBe('b');
    redis.resume();
    await available(one, two);
    await eventually(async () => expect(await claim(two, [user('U')], C)).toBe('b'));
    expect(one.conflicts).toEqual([]);
  });

  test('agents that are not known are refused where that was asked for, and known ones are not', async () => {
    const one = await open({ onStoreLoss: 'refuse' });
    await claim(one, [user('KNOWN')], A);
    await redis.kill();
    await eventually(() => expect(one.bindings.available).toBe(false));
    expect(await claim(one, [user('KNOWN')], B)).toBe('a');
    await expect(claim(one, [user('NEW')], B)).rejects.toMatchObject({
      name: GatewayError.name,
      code: 'GW_AFFINITY_UNAVAILABLE',
    });
  });

  test('a claim that got no answer is taken as done, since it may be', async () => {
    const [one, two] = [await open(), await open()];
    redis.pause();
    const name = user(randomBytes(4).toString('hex'));
    // Proposed A; without a store it would have been C.
    expect(await claim(one, [name], A, C)).toBe('a');
    redis.resume();
    await available(one, two);
    expect(await claim(two, [name], B)).toBe('a');
    expect(one.conflicts).toEqual([]);
  });
});

describe('a store that has lost everything', () => {
  test('while its connection stayed up takes no agent for new whom another gateway knows', async () => {
    const [one, two] = [await open(), await open()];
    const names = Array.from({ length: 40 }, (_, i) => user(`U${i}`));
    await Promise.all(names.map((name) => claim(one, [name], A)));

    await redisCommand(redis.port, 'FLUSHALL');
    // At once, before any heartbeat could tell either of them.
    const atTwo = await Promise.all(names.map((name) => claim(two, [name], B)));
    const atOne = await Promise.all(names.map((name) => claim(one, [name], C)));
    expect(new Set([...atTwo, ...atOne])).toEqual(new Set(['a']));
    expect(one.states.some((state) => state.startsWith('away: ') && state.includes('lost'))).toBe(true);
  });

  test('keeps no known agent waiting', async () => {
    const one = await open();
    await known(one, 'KNOWN', A);
    await redisCommand(redis.port, 'FLUSHALL');
    const begunAt = performance.now();
    expect(await claim(one, [user('KNOWN'), session('NEW')], B)).toBe('a');
    expect(performance.now() - begunAt).toBeLessThan(1_000);
  });

  test('is given back what the gateways know before they ask it for anything', async () => {
    const [one, two] = [await open(), await open()];
    const names = Array.from({ length: 1_200 }, (_, i) => user(`U${i}`));
    await Promise.all(names.slice(0, 900).map((name) => claim(one, [name], A)));
    await redis.kill();
    await redis.start();
    await available(one, two);
    const asked = await Promise.all(names.slice(0, 900).map((name) => claim(two, [name], B)));
    expect(new Set(asked)).toEqual(new Set(['a']));
  });
});
