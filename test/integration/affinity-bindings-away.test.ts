import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StaleView, StoreUnavailable } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';
import { openViewStore } from '../support/fencing-token.ts';
import type { Side } from './affinity-bindings-support.ts';
import { A, B, C, Site, session, user } from './affinity-bindings-support.ts';

let site: Site;
let one: Side;
let two: Side;

beforeEach(async () => {
  site = await Site.start();
  one = await site.open();
  two = await site.open();
});

afterEach(async () => {
  await site.close();
});

/** Redis returns without its data; each gateway writes back its bindings before any claim is allowed. */
async function comeBackEmpty(...sides: Side[]): Promise<void> {
  await site.redis.start();
  for (const side of sides) await eventually(() => side.bindings.writeBack());
  await site.agree(site.epoch);
  for (const side of [one, two]) await eventually(() => side.ping());
}

const alone = (side: Side, ...[names, place]: Parameters<Side['bindings']['claimAlone']>): string =>
  side.bindings.claimAlone(names, place).binding.instance;

describe('while the store is away', () => {
  test('claims and moves are refused without losing a binding', async () => {
    const { binding } = await one.bindings.claim([user('U')], A, site.fencingToken);
    await site.redis.kill();

    await expect(one.bindings.claim([user('V')], A, site.fencingToken)).rejects.toBeInstanceOf(
      StoreUnavailable,
    );
    await expect(one.bindings.rebind([user('U')], binding, B, site.fencingToken)).rejects.toBeInstanceOf(
      StoreUnavailable,
    );
    await expect(one.bindings.lookup([user('U')])).rejects.toBeInstanceOf(StoreUnavailable);
    expect(one.bindings.find('U', undefined)?.binding).toEqual(binding);
    expect(one.operations).toEqual([
      'claim ok',
      'claim unavailable',
      'rebind unavailable',
      'lookup unavailable',
    ]);
  });

  test('a gateway that acts alone trusts all its cached bindings', async () => {
    await site.claim(one, [user('U')], A);
    await site.redis.kill();
    await site.redis.start();
    const entry = one.bindings.find('U', undefined);
    if (entry === undefined) throw new Error('not known');

    await eventually(() => expect(one.bindings.isTrusted(entry, site, false)).toBe(false));

    expect(one.bindings.isTrusted(entry, site, true)).toBe(true);
  });

  test('an agent beyond the cache is a new one; afterwards the binding of a gateway that knew the agent wins', async () => {
    const small = await site.open({ maxEntries: 1 });
    await site.claim(small, [user('FIRST')], A);
    await site.claim(small, [user('SECOND')], A);
    expect(small.bindings.find('FIRST', undefined)).toBeUndefined();
    await eventually(() => expect(one.bindings.find('FIRST', undefined)).toBeDefined());
    await site.redis.kill();

    const placed = small.bindings.claimAlone([user('FIRST')], B);
    expect([placed.binding.instance, placed.decision]).toEqual(['b', 'storeless']);
    // The cache has room for one agent, so the other one is beyond it now.
    expect(small.bindings.find('SECOND', undefined)).toBeUndefined();

    await comeBackEmpty(one, small);
    expect(await site.claim(small, [user('FIRST')], C)).toBe('a');
    expect(small.conflicts).toHaveLength(1);
  });

  test('known agents stay, new ones are placed as proposed, and all bindings are written back', async () => {
    await site.claim(one, [user('KNOWN')], A);
    await eventually(() => expect(two.bindings.find('KNOWN', undefined)).toBeDefined());
    await site.redis.kill();

    expect(alone(two, [user('KNOWN')], B)).toBe('a');
    const placed = one.bindings.claimAlone([user('NEW'), session('S')], C);
    expect([placed.binding.instance, placed.decision]).toEqual(['c', 'storeless']);
    expect(alone(one, [user('NEW')], B)).toBe('c');

    await comeBackEmpty(one, two);
    expect(await site.claim(two, [user('KNOWN')], B)).toBe('a');
    expect(await site.claim(two, [session('S')], B)).toBe('c');
    expect([...one.conflicts, ...two.conflicts]).toEqual([]);
    const { bindings } = await one.bindings.list({ details: true });
    const causes = bindings.map(({ binding, origin }) => [binding.root.value, origin?.cause.kind]);
    expect(causes).toContainEqual(['KNOWN', 'written-back']);
    expect(causes).toContainEqual(['NEW', 'placed-alone']);
  });

  test('a new session of a known agent belongs to that agent, also when the store is back', async () => {
    await site.claim(one, [user('KNOWN'), session('OLD')], A);
    await site.redis.kill();

    expect(alone(one, [user('KNOWN'), session('RELOGON')], B)).toBe('a');
    expect(alone(one, [session('RELOGON')], B)).toBe('a');
    await comeBackEmpty(one);

    expect(await site.claim(two, [session('RELOGON')], B)).toBe('a');
    expect(await site.claim(two, [session('OLD')], B)).toBe('a');
  });

  test('a session that was placed alone and its user stay together after a request with both', async () => {
    alone(one, [session('S')], A);
    const together = alone(one, [user('U'), session('S')], B);
    expect(alone(one, [user('U')], C)).toBe(together);
    expect(alone(one, [session('S')], C)).toBe(together);
  });

  test('an agent that one gateway moved stays there, also in a store that has lost the agent', async () => {
    const { binding } = await one.bindings.claim([user('U'), session('S')], A, site.fencingToken);
    await site.redis.kill();

    expect(one.bindings.moveAlone([user('U')], binding, C).decision).toBe('rebound');
    expect(alone(one, [user('U')], B)).toBe('c');

    await comeBackEmpty(one);
    expect(await site.claim(two, [session('S')], B)).toBe('c');
  });

  test('a binding that the store kept wins over a move by one gateway, and a metric counts the conflict', async () => {
    const { binding } = await one.bindings.claim([user('U')], A, site.fencingToken);
    one.bindings.moveAlone([user('U')], binding, C);

    await one.bindings.writeBack();

    expect(await site.claim(two, [user('U')], B)).toBe('a');
    expect(one.conflicts).toEqual(['U: c -> a']);
  });

  test('so does a gateway that knows the agent from the store, if another gateway moved the agent', async () => {
    const { binding } = await one.bindings.claim([user('U')], A, site.fencingToken);
    await eventually(() => expect(two.bindings.find('U', undefined)).toBeDefined());
    await site.redis.kill();
    one.bindings.moveAlone([user('U')], binding, C);

    await comeBackEmpty(one, two);

    expect(await site.claim(one, [user('U')], B)).toBe('a');
  });

  test('if two gateways placed one agent differently, the store decides and the conflict counts once', async () => {
    await site.redis.kill();
    alone(one, [user('U')], A);
    alone(two, [user('U')], B);

    await comeBackEmpty(one, two);

    expect(await site.claim(one, [user('U')], C)).toBe('a');
    expect(await site.claim(two, [user('U')], C)).toBe('a');
    expect([...one.conflicts, ...two.conflicts]).toEqual(['U: b -> a']);
  });

  test('a placement by one gateway needs a lookup when the store is back', async () => {
    await site.redis.kill();
    alone(one, [user('U')], A);
    await comeBackEmpty(one);
    await site.hears(one);

    expect(site.trusted(one, 'U')).toBeUndefined();
    await site.claim(one, [user('U')], B);
    expect(site.trusted(one, 'U')).toBe('a');
  });

  test('other gateways get news of bindings that are written back', async () => {
    await site.redis.kill();
    alone(one, [user('U'), session('S')], C);
    await site.redis.start();
    await site.hears(two);

    await eventually(() => one.bindings.writeBack());

    await eventually(() => expect(two.bindings.find('U', 'S')?.binding.instance).toBe('c'));
  });

  test('a placement during a short failure of the store is written back before the next lookup', async () => {
    alone(one, [user('U')], A);
    alone(one, [user('V')], B);

    // Its own proposal would be different.
    expect(await site.claim(one, [user('U')], C)).toBe('a');

    expect(await site.claim(two, [user('V')], C)).toBe('b');
    expect(one.conflicts).toEqual([]);
  });

  test('it is also written back without a lookup, with the counts', async () => {
    alone(one, [user('U')], B);

    await one.bindings.refreshCounts();

    expect(one.bindings.counts).toEqual(new Map([['b', 1]]));
    await site.redis.kill();
    await one.bindings.refreshCounts();
    expect(one.bindings.counts).toEqual(new Map([['b', 1]]));
  });
});

describe('a store that has lost everything', () => {
  test('while its connections stay up treats no agent as new that a gateway knows', async () => {
    const names = Array.from({ length: 40 }, (_, i) => user(`U${i}`));
    await Promise.all(names.map((name) => site.claim(one, [name], A)));
    await site.command('FLUSHALL');

    await expect(site.claim(two, [user('U0')], B)).rejects.toBeInstanceOf(StaleView);
    await one.bindings.writeBack();
    await site.agree(1);

    const atTwo = await Promise.all(names.map((name) => site.claim(two, [name], B)));
    expect(new Set(atTwo)).toEqual(new Set(['a']));
  });

  test('gets back the bindings of the gateways, including sessions, with their former evidence', async () => {
    await Promise.all(
      Array.from({ length: 900 }, (_, i) => site.claim(one, [user(`U${i}`), session(`S${i}`)], A)),
    );
    await site.command('FLUSHALL');

    expect(await one.bindings.writeBack('generation-2')).toBeGreaterThanOrEqual(900);
    await site.agree(1);

    expect(site.trusted(one, 'U7', 'S7')).toBe('a');
    const asked = await Promise.all(
      Array.from({ length: 900 }, (_, i) => site.claim(two, [session(`S${i}`)], B)),
    );
    expect(new Set(asked)).toEqual(new Set(['a']));
  });

  test('gets back a lost move, even if a gateway without that news writes back first', async () => {
    const { binding } = await one.bindings.claim([user('U')], A, site.fencingToken);
    await eventually(() => expect(two.bindings.find('U', undefined)).toBeDefined());
    // It takes the gateway some 50 ms to connect again, and the move one.
    await site.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await site.move(one, [user('U')], binding, B);
    await site.command('FLUSHALL');

    await two.bindings.writeBack();
    await one.bindings.writeBack();
    await openViewStore(site.redis.port, 'test', { pool: 'ici' });
    await site.agree(1);

    expect(await site.claim(two, [user('U')], C)).toBe('b');
  });

  test('gets each binding once per store generation, except for later decisions', async () => {
    await site.claim(one, [user('U')], A);
    expect(await one.bindings.writeBack('generation-1')).toBeGreaterThanOrEqual(1);
    alone(one, [user('V')], B);

    expect(await one.bindings.writeBack('generation-1')).toBe(1);
    expect(await one.bindings.writeBack('generation-2')).toBeGreaterThanOrEqual(2);
  });

  test('an answer of the former store generation that came too late for the write-back is not trusted', async () => {
    await site.claim(one, [user('U')], A);
    const late = await site.open();
    await late.bindings.writeBack('generation-1');

    const answered = late.bindings.lookup([user('U')]);
    await Promise.all([answered, late.bindings.writeBack('generation-2')]);

    expect(late.bindings.find('U', undefined)?.binding.instance).toBe('a');
    expect(site.trusted(late, 'U')).toBeUndefined();
  });

  test('a claim that the former store generation answered must be repeated', async () => {
    const late = await site.open();
    await late.bindings.writeBack('generation-1');

    const claimed = expect(late.bindings.claim([user('U')], A, site.fencingToken)).rejects.toBeInstanceOf(
      StaleView,
    );
    await Promise.all([claimed, late.bindings.writeBack('generation-2')]);

    expect((await late.bindings.claim([user('U')], B, site.fencingToken)).binding.instance).toBe('a');
  });

  test('several callers share one run', async () => {
    await site.claim(one, [user('U')], A);
    const [first, second] = await Promise.all([one.bindings.writeBack('x'), one.bindings.writeBack('x')]);
    expect(second).toBe(first);
  });
});
