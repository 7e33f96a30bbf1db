import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StaleView } from '../../src/core/ports.ts';
import { eventually } from '../support/eventually.ts';
import { A, B, C, Site, session, user } from './affinity-bindings-support.ts';

let site: Site;

beforeEach(async () => {
  site = await Site.start();
});

afterEach(async () => {
  await site.close();
});

/** How often Redis ran each command that a claim, a move or a question is made of. */
async function scriptsRun(): Promise<number> {
  const info = await site.command('INFO', 'commandstats');
  return [...info.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce(
    (sum, [, calls]) => sum + Number(calls),
    0,
  );
}

describe('a known agent', () => {
  test('costs no round trip to the store', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    const before = await scriptsRun();

    for (let i = 0; i < 100; i += 1) expect(site.trusted(one, 'U')).toBe('a');

    expect(one.operations).toEqual(['claim ok']);
    expect(await scriptsRun()).toBe(before);
  });

  test('is known at every gateway, by each of his names, without a command of theirs', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await site.claim(one, [user('U'), session('S')], A);
    await site.claim(one, [user('U'), session('T')], B);
    const before = await scriptsRun();

    await eventually(() => expect(site.trusted(two, 'U', 'T')).toBe('a'));

    expect(site.trusted(two, 'U')).toBe('a');
    expect(site.trusted(two, undefined, 'S')).toBe('a');
    expect(two.operations).toEqual([]);
    expect(await scriptsRun()).toBe(before);
  });

  test('whom another gateway moves is known where he is, still by all his names', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await site.claim(one, [user('U'), session('S')], A);
    const { binding } = await two.bindings.claim([user('U')], B, site.fencingToken);
    await site.move(two, [user('U')], binding, C);

    await eventually(() => expect(site.trusted(one, 'U', 'S')).toBe('c'));
    expect(site.trusted(one, undefined, 'S')).toBe('c');
  });

  test('is asked for again once his instance may have lost him', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    await site.claim(one, [user('V')], B);

    // Agents of a could be moved in epoch 1, which is when this was learnt.
    await site.agree(2, 1);

    expect(site.trusted(one, 'U')).toBeUndefined();
    expect(site.trusted(one, 'V')).toBe('b');
    await site.claim(one, [user('U')], B);
    expect(site.trusted(one, 'U')).toBe('a');
  });

  test('whom the store was asked about in an earlier epoch is not known in the later one', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    const asked = one.bindings.lookup([user('U')]);
    await site.agree(2, 1);

    expect(await asked).toMatchObject({ instance: 'a' });
    expect(site.trusted(one, 'U')).toBeUndefined();
    await one.bindings.lookup([user('U')]);
    expect(site.trusted(one, 'U')).toBe('a');
  });

  test('is asked for while the gateway would not hear of a move, and trusted again when it does', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    expect(site.trusted(one, 'U')).toBe('a');

    await site.command('CLIENT', 'KILL', 'TYPE', 'pubsub');

    await eventually(() => expect(site.trusted(one, 'U')).toBeUndefined());
    await eventually(async () => {
      await site.claim(one, [user('U')], B);
      expect(site.trusted(one, 'U')).toBe('a');
    });
  });

  test('with a session that is new needs the store once, which links them', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    expect(one.bindings.find('U', 'S')).toBeUndefined();
    expect(await site.claim(one, [user('U'), session('S')], B)).toBe('a');
    expect(one.bindings.find(undefined, 'S')?.binding.root).toEqual(user('U'));
  });

  test('is renewed in the background before the binding could end in the store', async () => {
    const one = await site.open({ idleLifetimeMs: 1_000 });
    await site.claim(one, [user('U')], A);
    let begun = Number.NEGATIVE_INFINITY;
    let looked = Number.NEGATIVE_INFINITY;
    await eventually(
      async () => {
        // As a request does.
        if (site.trusted(one, 'U') === undefined) await site.claim(one, [user('U')], A);
        const now = performance.now();
        // He is trusted for 500 ms. Where this process or Redis got no processor for much of that, it begins anew.
        if (now - looked > 300) {
          begun = now;
          one.operations.length = 0;
        }
        looked = now;
        await site.command('PING');
        // Far longer than a lifetime.
        expect(performance.now() - begun).toBeGreaterThan(2_500);
      },
      { within: 30_000 },
    );
    expect(one.operations.filter((operation) => operation.startsWith('claim'))).toEqual([]);
    expect(one.operations.filter((operation) => operation === 'renew ok').length).toBeGreaterThan(5);
  });
});

describe('a claim on a view that is not in effect any more', () => {
  test('is refused and counted apart, and changes nothing here either', async () => {
    const one = await site.open();
    const old = site.fencingToken;
    await site.agree(2);

    await expect(one.bindings.claim([user('U')], A, old)).rejects.toBeInstanceOf(StaleView);

    expect(one.operations).toEqual(['claim stale']);
    expect(one.bindings.find('U', undefined)).toBeUndefined();
    expect(await site.claim(one, [user('U')], B)).toBe('b');
  });
});

describe('a session seen alone', () => {
  test('is asked for each time, because the user may since have been seen beside it elsewhere', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await site.claim(one, [session('S')], A);
    expect(site.trusted(one, undefined, 'S')).toBeUndefined();

    await site.claim(two, [user('U')], B);
    expect(await site.claim(two, [user('U'), session('S')], B)).toBe('b');
    expect(two.conflicts).toEqual(['U: a -> b']);
    expect(await site.claim(one, [session('S')], A)).toBe('b');
  });

  test('is trusted where nothing ever names a user', async () => {
    const one = await site.open({ sessionsAreProvisional: false });
    await site.claim(one, [session('S')], A);
    expect(site.trusted(one, undefined, 'S')).toBe('a');
  });
});

describe('the mirror', () => {
  test('learns of agents who were bound before the gateway came, and of their sessions', async () => {
    const one = await site.open();
    for (let i = 0; i < 60; i += 1)
      await site.claim(one, [user(`U${i}`), session(`S${i}`)], i % 2 === 0 ? A : B);

    const two = await site.open();
    await two.bindings.refreshCounts();

    await eventually(() => {
      for (let i = 0; i < 60; i += 1) {
        expect(site.trusted(two, `U${i}`, `S${i}`)).toBe(i % 2 === 0 ? 'a' : 'b');
        expect(site.trusted(two, undefined, `S${i}`)).toBe(i % 2 === 0 ? 'a' : 'b');
      }
    });
    expect(two.operations).toEqual([]);
    expect(two.bindings.counts).toEqual(
      new Map([
        ['a', 30],
        ['b', 30],
      ]),
    );
  });

  test('learns what was missed while it was not heard', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await two.bindings.refreshCounts();
    // It takes the gateway some 50 ms to connect again, and the claim one.
    await site.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await site.claim(one, [user('U')], A);

    await eventually(async () => {
      await two.bindings.refreshCounts();
      expect(site.trusted(two, 'U')).toBe('a');
    });
    expect(two.operations).toEqual([]);
  });

  test('drives nobody out of the cache, and leaves off where it is full', async () => {
    const one = await site.open();
    for (let i = 0; i < 50; i += 1) await site.claim(one, [user(`U${i}`)], A);

    const two = await site.open({ maxEntries: 20 });
    await site.claim(two, [user('MINE')], B);
    await two.bindings.refreshCounts();

    await eventually(() => expect(two.bindings.cached).toBe(20));
    await two.bindings.refreshCounts();
    expect(site.trusted(two, 'MINE')).toBe('b');
  });

  test('knows how much longer a binding lives that it did not make', async () => {
    const one = await site.open({ idleLifetimeMs: 3_000 });
    await site.claim(one, [user('U')], A);
    const boundAt = performance.now();
    await eventually(() => expect(performance.now() - boundAt).toBeGreaterThan(1_700));

    const two = await site.open({ idleLifetimeMs: 3_000 });
    await two.bindings.refreshCounts();

    // More than half of its lifetime is over, so it must be asked for before it ends unnoticed.
    await eventually(() => expect(two.bindings.find('U', undefined)).toBeDefined());
    expect(site.trusted(two, 'U')).toBeUndefined();
  });
});

describe('a process that stood still', () => {
  test('does not take its own pause for a slow Redis', async () => {
    const one = await site.open({ commandTimeoutMs: 100 });
    const claimed = site.claim(one, [user('U')], A);
    const until = performance.now() + 400;
    while (performance.now() < until);
    expect(await claimed).toBe('a');
    expect(one.operations).toEqual(['claim ok']);
  });
});
