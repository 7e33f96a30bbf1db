import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { StaleView, StoreFull } from '../../src/core/ports.ts';
import { storedForm } from '../../src/core/stored-name.ts';

import { eventually } from '../support/eventually.ts';
import { A, B, C, Site, session, user } from './affinity-bindings-support.ts';

let site: Site;

beforeEach(async () => {
  site = await Site.start();
});

afterEach(async () => {
  await site.close();
});

/** The number of calls of each Redis command that claims, moves or lookups use. */
async function scriptsRun(): Promise<number> {
  const info = await site.command('INFO', 'commandstats');
  return [...info.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce(
    (sum, [, calls]) => sum + Number(calls),
    0,
  );
}

describe('a known agent', () => {
  test('needs no round trip to the store', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    await site.claim(one, [user('U')], A);
    const before = await scriptsRun();

    for (let i = 0; i < 100; i += 1) expect(site.trusted(one, 'U')).toBe('a');

    expect(one.operations).toEqual(['claim ok', 'claim ok']);
    expect(await scriptsRun()).toBe(before);
  });

  test('that came once is renewed with its second request, at whatever gateway, so that no new name takes its place', async () => {
    const [one, two] = [await site.open({ maxBindings: 2 }), await site.open({ maxBindings: 2 })];
    await site.claim(one, [user('U'), session('S')], A);

    await eventually(() => expect(site.trusted(two, 'U', 'S')).toBe('a'));
    await eventually(() => expect(two.operations).toEqual(['renew ok']));
    for (let i = 0; i < 10; i += 1) expect(site.trusted(two, 'U', 'S')).toBe('a');

    await expect(site.claim(one, [user('X')], B)).rejects.toBeInstanceOf(StoreFull);
    expect(two.operations).toEqual(['renew ok']);
    expect(one.operations).toEqual(['claim ok', 'claim full']);
  });

  test('that gave way is not known any more at any gateway', async () => {
    const [one, two] = [await site.open({ maxBindings: 1 }), await site.open()];
    await site.claim(two, [user('U')], A);
    await site.claim(one, [user('X')], B);

    await eventually(() => expect(site.trusted(two, 'X')).toBe('b'));
    expect(site.trusted(two, 'U')).toBeUndefined();
  });

  test('keeps 8 sessions: the oldest makes way for a new one, in the store too', async () => {
    const one = await site.open();
    for (let i = 1; i <= 9; i += 1) await site.claim(one, [user('U'), session(`S${i}`)], A);
    const later = await site.open();

    expect(await later.bindings.lookup([session('S9')])).toMatchObject({ root: user('U') });
    expect(await later.bindings.lookup([session('S3')])).toMatchObject({ root: user('U') });
    expect(await later.bindings.lookup([session('S1')])).toBeUndefined();
  });

  test('is known at every gateway under each name, without a command of theirs', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await site.claim(one, [user('U'), session('S')], A);
    await site.claim(one, [user('U'), session('T')], B);

    await eventually(() => expect(site.trusted(two, 'U', 'T')).toBe('a'));
    await eventually(() => expect(two.operations).toEqual(['renew ok']));
    const before = await scriptsRun();

    expect(site.trusted(two, 'U')).toBe('a');
    expect(site.trusted(two, undefined, 'S')).toBe('a');
    expect(site.trusted(two, 'U', 'T')).toBe('a');
    expect(await scriptsRun()).toBe(before);
  });

  test('is known at the new instance under all names after a move by another gateway', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await site.claim(one, [user('U'), session('S')], A);
    const { binding } = await two.bindings.claim([user('U')], B, site.fencingToken);
    await site.move(two, [user('U')], binding, C);

    await eventually(() => expect(site.trusted(one, 'U', 'S')).toBe('c'));
    expect(site.trusted(one, undefined, 'S')).toBe('c');
  });

  test('needs a lookup once the instance may have lost the agent', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    await site.claim(one, [user('V')], B);

    // Agents of a could be moved in epoch 1, when this binding was cached.
    await site.agree(2, 1);

    expect(site.trusted(one, 'U')).toBeUndefined();
    expect(site.trusted(one, 'V')).toBe('b');
    await site.claim(one, [user('U')], B);
    expect(site.trusted(one, 'U')).toBe('a');
  });

  test('that was looked up in an earlier epoch is not known in the later one', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    const asked = one.bindings.lookup([user('U')]);
    await site.agree(2, 1);

    expect(await asked).toMatchObject({ instance: 'a' });
    expect(site.trusted(one, 'U')).toBeUndefined();
    await one.bindings.lookup([user('U')]);
    expect(site.trusted(one, 'U')).toBe('a');
  });

  test('needs a lookup while the gateway gets no news of moves, and is trusted again afterwards', async () => {
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

  test('with a new session needs the store once, to link them', async () => {
    const one = await site.open();
    await site.claim(one, [user('U')], A);
    expect(one.bindings.find('U', 'S')).toBeUndefined();
    expect(await site.claim(one, [user('U'), session('S')], B)).toBe('a');
    expect(one.bindings.find(undefined, 'S')?.binding.root).toEqual(user('U'));
  });

  test('is renewed in the background before the binding can expire in the store', async () => {
    const one = await site.open({ idleLifetimeMs: 1_000 });
    await site.claim(one, [user('U')], A);
    let begun = Number.NEGATIVE_INFINITY;
    let looked = Number.NEGATIVE_INFINITY;
    await eventually(
      async () => {
        // Like a request.
        if (site.trusted(one, 'U') === undefined) await site.claim(one, [user('U')], A);
        const now = performance.now();
        // The binding is trusted for 500 ms. If this process or Redis got no processor for much of that, try again.
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

describe('a claim on a view that is no longer in effect', () => {
  test('is refused, counted separately, and changes nothing in the cache', async () => {
    const one = await site.open();
    const old = site.fencingToken;
    await site.agree(2);

    await expect(one.bindings.claim([user('U')], A, old)).rejects.toBeInstanceOf(StaleView);

    expect(one.operations).toEqual(['claim stale']);
    expect(one.bindings.find('U', undefined)).toBeUndefined();
    expect(await site.claim(one, [user('U')], B)).toBe('b');
  });
});

describe('a session without a user', () => {
  test('needs a lookup each time, because another gateway may have linked it to a user since', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await site.claim(one, [session('S')], A);
    expect(site.trusted(one, undefined, 'S')).toBeUndefined();

    await site.claim(two, [user('U')], B);
    expect(await site.claim(two, [user('U'), session('S')], B)).toBe('b');
    expect(two.conflicts).toEqual(['U: a -> b']);
    expect(await site.claim(one, [session('S')], A)).toBe('b');
  });

  test('is trusted if no request ever names a user', async () => {
    const one = await site.open({ sessionsAreProvisional: false });
    await site.claim(one, [session('S')], A);
    expect(site.trusted(one, undefined, 'S')).toBe('a');
  });
});

describe('the cache warmer', () => {
  test('caches agents that were bound before the gateway started, and their sessions', async () => {
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
    await eventually(() => expect(two.bindings.aliasesOf('uU7')).toEqual([storedForm(session('S7'))]));
    expect(two.bindings.aliasesOf('uNEW')).toBeUndefined();
  });

  test('caches changes that were missed while the news connection was down', async () => {
    const [one, two] = [await site.open(), await site.open()];
    await two.bindings.refreshCounts();
    // The gateway needs about 50 ms to reconnect, and the claim about one.
    await site.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await site.claim(one, [user('U')], A);

    await eventually(async () => {
      await two.bindings.refreshCounts();
      expect(site.trusted(two, 'U')).toBe('a');
    });
    expect(two.operations).toEqual([]);
  });

  test('evicts no agent from the cache, and stops when it is full', async () => {
    const one = await site.open();
    for (let i = 0; i < 50; i += 1) await site.claim(one, [user(`U${i}`)], A);

    const two = await site.open({ maxEntries: 20 });
    await site.claim(two, [user('MINE')], B);
    await two.bindings.refreshCounts();

    await eventually(() => expect(two.bindings.cached).toBe(20));
    await two.bindings.refreshCounts();
    expect(site.trusted(two, 'MINE')).toBe('b');
    // It may have missed a session.
    expect(two.bindings.aliasesOf('uMINE')).toBeUndefined();
  });

  test('knows the remaining lifetime of a binding that another gateway made', async () => {
    const one = await site.open({ idleLifetimeMs: 25_000 });
    await site.claim(one, [user('U')], A);

    const two = await site.open({ idleLifetimeMs: 60_000 });
    await two.bindings.refreshCounts();

    // More than half of the lifetime that it has here is over, so it needs a lookup before it expires unnoticed.
    await eventually(() => expect(two.bindings.find('U', undefined)).toBeDefined());
    expect(site.trusted(two, 'U')).toBeUndefined();
  });
});

describe('a process after a pause', () => {
  test('does not mistake its own pause for a slow Redis', async () => {
    const one = await site.open({ commandTimeoutMs: 100 });
    const claimed = site.claim(one, [user('U')], A);
    const until = performance.now() + 400;
    while (performance.now() < until);
    expect(await claimed).toBe('a');
    expect(one.operations).toEqual(['claim ok']);
  });
});
