import { describe, expect, test } from 'vitest';
import type { Confirmation } from '../../../src/affinity/binding-cache.ts';
import { BindingCache } from '../../../src/affinity/binding-cache.ts';
import type { Binding } from '../../../src/core/binding.ts';
import type { Name } from '../../../src/core/identity.ts';
import { storedForm } from '../../../src/core/stored-name.ts';
import { at, session, user } from '../../contract/affinity-store-support.ts';

const LIFETIME_MS = 1_000;

function aCache({ maxEntries = 100, idleLifetimeMs = LIFETIME_MS } = {}): BindingCache {
  return new BindingCache({ maxEntries, idleLifetimeMs });
}

function asked(askedAt: number, epoch = 1): Confirmation {
  return { askedAt, epoch };
}

function aBinding(root: Name, { instance = 'a', generation = 1 } = {}): Binding {
  return { root: storedForm(root), ...at(instance), generation };
}

describe('the binding cache', () => {
  test('finds a binding by its user, by its session and by both', () => {
    const cache = aCache();
    const entry = cache.put([user('MILLER'), session('s1')], aBinding(user('MILLER')), asked(0));

    expect(cache.find('MILLER', undefined)).toBe(entry);
    expect(cache.find(undefined, 's1')).toBe(entry);
    expect(cache.find('MILLER', 's1')).toBe(entry);
    expect(cache.get('uMILLER')).toBe(entry);
    expect(cache.get('ss1')).toBe(entry);
    expect(entry.binding.instance).toBe('a');
  });

  test('finds nothing if one of two names is unknown, or the two lead to different bindings', () => {
    const cache = aCache();
    cache.put([user('MILLER')], aBinding(user('MILLER')), asked(0));
    cache.put([user('SMITH'), session('s2')], aBinding(user('SMITH')), asked(0));

    expect(cache.find('MILLER', 's1')).toBeUndefined();
    expect(cache.find('MILLER', 's2')).toBeUndefined();
    expect(cache.find('UNKNOWN', 's2')).toBeUndefined();
    expect(cache.find(undefined, undefined)).toBeUndefined();
  });

  test('keeps a session that comes with another user for that user only', () => {
    const cache = aCache();
    const miller = cache.put([user('MILLER'), session('s1')], aBinding(user('MILLER')), asked(0));
    const smith = cache.put([user('SMITH'), session('s1')], aBinding(user('SMITH')), asked(0));

    expect(cache.find(undefined, 's1')).toBe(smith);
    expect(miller.names).toEqual([user('MILLER')]);
    cache.forget(user('MILLER'));
    expect(cache.find(undefined, 's1')).toBe(smith);
  });

  test('keeps one entry for each root, whichever of its names was used', () => {
    const cache = aCache();
    const entry = cache.put([session('s1')], aBinding(user('MILLER')), asked(0));
    cache.put([session('s2')], aBinding(user('MILLER'), { instance: 'b', generation: 2 }), asked(5));

    expect(cache.size).toBe(1);
    expect(cache.find(undefined, 's1')).toBe(entry);
    expect(entry.binding).toMatchObject({ instance: 'b', generation: 2 });
    expect(entry.checkedAt).toBe(5);
  });

  test('a session that has become a user’s alias no longer has an entry of its own', () => {
    const cache = aCache();
    cache.put([session('s1')], aBinding(session('s1')), asked(0));
    const entry = cache.put([user('MILLER'), session('s1')], aBinding(user('MILLER')), asked(0));

    expect(cache.size).toBe(1);
    expect(cache.find(undefined, 's1')).toBe(entry);
  });

  test('forgets the binding with its root name, and otherwise only the given name', () => {
    for (const name of [storedForm(session('s1')), session('s1')]) {
      const cache = aCache();
      const entry = cache.put(
        [user('MILLER'), session('s1'), session('s2')],
        aBinding(user('MILLER')),
        asked(0),
      );

      cache.forget(name);
      expect(cache.find(undefined, 's1')).toBeUndefined();
      expect(cache.find('MILLER', 's2')).toBe(entry);

      cache.forget(user('MILLER'));
      expect(cache.find('MILLER', undefined)).toBeUndefined();
      expect(cache.find(undefined, 's2')).toBeUndefined();
      expect(cache.size).toBe(0);
    }
  });

  test('forgets a session after the move of its user, even if the user is not cached', () => {
    const cache = aCache();
    cache.put([session('s1')], aBinding(user('MILLER')), asked(0));

    cache.forget(user('MILLER'));

    expect(cache.find(undefined, 's1')).toBeUndefined();
  });

  test('lists names in stored form, the root first, and no session in plain text', () => {
    const cache = aCache();
    cache.put([user('MILLER'), session('secret')], aBinding(user('MILLER')), asked(0));

    const [[, entry] = []] = [...cache.entries()];

    expect(entry?.names).toEqual([user('MILLER'), storedForm(session('secret'))]);
    expect(JSON.stringify(entry?.names)).not.toContain('secret');
  });

  test('finds a binding that was put with stored names by the names of requests', () => {
    const cache = aCache();
    const entry = cache.put([user('MILLER'), storedForm(session('s1'))], aBinding(user('MILLER')), asked(0));

    expect(cache.find('MILLER', 's1')).toBe(entry);
    cache.forget(storedForm(session('s1')));
    expect(cache.find(undefined, 's1')).toBeUndefined();
  });

  test('remembers the latest sessions of an agent, never more than eight names', () => {
    const cache = aCache();
    for (let i = 0; i < 20; i += 1) {
      cache.put([user('MILLER'), session(`s${i}`)], aBinding(user('MILLER')), asked(i));
    }

    const entry = cache.find('MILLER', 's19');
    expect(entry?.names).toHaveLength(8);
    expect(entry?.names[0]).toEqual(user('MILLER'));
    expect(cache.find(undefined, 's13')).toBe(entry);
    expect(cache.find(undefined, 's12')).toBeUndefined();
  });

  test('takes memory as it fills, and then evicts in the same order as ever', () => {
    const before = process.memoryUsage().arrayBuffers;
    aCache({ maxEntries: 200_000 });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200_000);

    const most = 20_000;
    const cache = aCache({ maxEntries: most });
    const name = (n: number): Name => user(`AGENT${n}`);
    for (let n = 0; n < most; n += 1) {
      cache.put([name(n)], aBinding(name(n)), asked(0));
      // The first one stays the most recently used.
      cache.find('AGENT0', undefined);
    }
    expect(cache.size).toBe(most);
    expect(cache.isFull).toBe(true);
    expect(cache.evicted).toBe(0);

    cache.put([user('MILLER')], aBinding(user('MILLER')), asked(0));
    expect(cache.evicted).toBe(1);
    expect(cache.find('AGENT0', undefined)).toBeDefined();
    expect(cache.find('AGENT1', undefined)).toBeUndefined();
    expect(cache.find('AGENT2', undefined)).toBeDefined();
  });

  test('makes room by evicting the least recently used binding', () => {
    const cache = aCache({ maxEntries: 2 });
    cache.put([user('A'), session('a')], aBinding(user('A')), asked(0));
    cache.put([user('B'), session('b')], aBinding(user('B')), asked(0));
    cache.find(undefined, 'a');
    cache.put([user('C'), session('c')], aBinding(user('C')), asked(0));

    expect(cache.find('A', 'a')).toBeDefined();
    expect(cache.find('B', undefined)).toBeUndefined();
    expect(cache.find(undefined, 'b')).toBeUndefined();
    expect(cache.find('C', 'c')).toBeDefined();
    expect(cache.size).toBe(2);
  });

  test('trusts a binding for half of its idle lifetime, and has it renewed after a twentieth', () => {
    const cache = aCache();
    const entry = cache.put([user('A')], aBinding(user('A')), asked(100));

    expect(cache.needsRenewal(entry, 149)).toBe(false);
    expect(cache.needsRenewal(entry, 150)).toBe(true);
    expect(cache.isAlive(entry, 599)).toBe(true);
    expect(cache.isAlive(entry, 600)).toBe(false);
    expect(cache.hasEnded(entry, 1_099)).toBe(false);
    expect(cache.hasEnded(entry, 1_100)).toBe(true);
  });

  test('has a binding renewed at least once a minute, so that its last use is known', () => {
    const cache = aCache({ idleLifetimeMs: 12 * 3_600_000 });
    const entry = cache.put([user('A')], aBinding(user('A')), asked(0));

    expect(cache.needsRenewal(entry, 59_999)).toBe(false);
    expect(cache.needsRenewal(entry, 60_000)).toBe(true);
  });

  test('a binding that was used without the store stays valid', () => {
    const cache = aCache();
    const entry = cache.put([user('A')], aBinding(user('A')), asked(100));
    entry.usedAt = 1_000;

    expect(cache.isAlive(entry, 1_050)).toBe(false);
    expect(cache.hasEnded(entry, 1_999)).toBe(false);
    expect(cache.hasEnded(entry, 2_000)).toBe(true);
  });

  test('an unchanged binding keeps the latest epoch of its confirmation, and a changed one gets that of the answer', () => {
    const cache = aCache();
    const entry = cache.put([user('A')], aBinding(user('A')), asked(10, 7));
    cache.put([user('A')], aBinding(user('A')), asked(20, 0));
    expect(entry.epoch).toBe(7);

    cache.put([user('A')], aBinding(user('A'), { instance: 'b', generation: 2 }), asked(30, 5));
    expect(entry.epoch).toBe(5);
  });

  test('an answer that is older than the news of a move is dropped, and one to a later request is not', () => {
    const cache = aCache();
    cache.put([user('A')], aBinding(user('A')), asked(10));
    cache.announce(aBinding(user('A'), { instance: 'b', generation: 2 }), [], 3, 50);

    cache.put([user('A')], aBinding(user('A')), asked(40, 3));
    expect(cache.find('A', undefined)?.binding).toMatchObject({ instance: 'b', generation: 2 });

    // The store has lost the move.
    cache.put([user('A')], aBinding(user('A')), asked(60, 4));
    expect(cache.find('A', undefined)?.binding).toMatchObject({ instance: 'a', generation: 1 });
  });

  describe('news for the binding cache', () => {
    test('a later generation is news, and keeps the names that are known', () => {
      const cache = aCache();
      cache.put([user('A'), session('s1')], aBinding(user('A')), asked(0, 4));
      cache.announce(
        aBinding(user('A'), { instance: 'b', generation: 2 }),
        [storedForm(session('s2'))],
        5,
        10,
      );

      const entry = cache.find('A', 's1');
      expect(entry).toMatchObject({ binding: { instance: 'b', generation: 2 }, epoch: 5, checkedAt: 10 });
      expect(cache.find(undefined, 's2')).toBe(entry);
    });

    test('an earlier generation is no news, nor is an earlier epoch of the same', () => {
      const cache = aCache();
      const entry = cache.put([user('A')], aBinding(user('A'), { generation: 2 }), asked(0, 4));
      cache.announce(aBinding(user('A'), { instance: 'b', generation: 1 }), [], 4, 10);
      cache.announce(aBinding(user('A'), { instance: 'c', generation: 2 }), [], 3, 11);

      expect(entry).toMatchObject({ binding: { instance: 'a', generation: 2 }, epoch: 4, checkedAt: 0 });
    });

    test('an earlier generation of a later epoch is news, since the store has started again', () => {
      const cache = aCache();
      const entry = cache.put([user('A')], aBinding(user('A'), { generation: 9 }), asked(0, 4));
      cache.announce(aBinding(user('A'), { instance: 'b', generation: 1 }), [], 5, 10);

      expect(entry.binding).toMatchObject({ instance: 'b', generation: 1 });
    });

    test('an earlier generation is news if the cached binding has ended', () => {
      const cache = aCache();
      const entry = cache.put([user('A')], aBinding(user('A'), { generation: 9 }), asked(0, 4));
      cache.announce(aBinding(user('A'), { instance: 'b', generation: 1 }), [], 4, LIFETIME_MS);

      expect(entry.binding).toMatchObject({ instance: 'b', generation: 1 });
    });
  });

  test('a local placement never counts against the store’s epochs', () => {
    const cache = aCache();
    cache.put([user('A'), session('s')], aBinding(user('A')), asked(10, 7));
    const entry = cache.decide([user('A')], aBinding(user('A'), { instance: 'b', generation: 0 }), 20);

    expect(entry).toMatchObject({ epoch: 0, checkedAt: Number.NEGATIVE_INFINITY, usedAt: 20 });
    expect(cache.find('A', 's')?.binding.instance).toBe('b');
  });
});
