import { describe, expect, test } from 'vitest';
import { HealthHistory } from '../../../src/admin/health-history.ts';
import type { PoolOperations } from '../../../src/admin/pool-source.ts';
import type { HealthState } from '../../../src/core/instance.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import type { LoggedEvent } from '../../../src/core/view/agreed-view.ts';

/** A pool whose view, clock and event log the test sets. */
class FakePool {
  storeNow = 1_000;
  log: Partial<LoggedEvent>[] | undefined = [];
  readonly #health = new Map<string, HealthState>();
  #listener = (): void => {};

  get operations(): PoolOperations {
    const pool = this;
    return {
      get storeNow() {
        return pool.storeNow;
      },
      get routingState() {
        const instances = new Map([...pool.#health].map(([id, health]) => [id, { id, health }]));
        return { view: { instances } };
      },
      onChange: (listener: () => void) => {
        pool.#listener = listener;
        return () => {};
      },
      log: {
        views: async () => {
          if (pool.log === undefined) throw new StoreUnavailable('away');
          return pool.log;
        },
      },
    } as unknown as PoolOperations;
  }

  become(health: Readonly<Record<string, HealthState>>): void {
    this.#health.clear();
    for (const [id, state] of Object.entries(health)) this.#health.set(id, state);
    this.#listener();
  }
}

describe('since when an instance is up or down', () => {
  test('is the time of the change', () => {
    const pool = new FakePool();
    pool.become({ a: 'unknown', b: 'up' });
    const history = new HealthHistory(pool.operations);
    pool.storeNow = 2_000;
    pool.become({ a: 'up', b: 'up' });
    pool.storeNow = 3_000;
    pool.become({ a: 'up', b: 'down' });
    expect([history.since('a'), history.since('b')]).toEqual([2_000, 3_000]);
  });

  test('is read from the event log if it was before the process started', async () => {
    const pool = new FakePool();
    pool.become({ a: 'up', b: 'down', c: 'up' });
    pool.log = [
      { at: 900, kind: 'admin', instance: 'a' },
      { at: 800, kind: 'up', instance: 'a' },
      { at: 700, kind: 'down', instance: 'a' },
      // The log has lost the event in which b went down.
      { at: 600, kind: 'up', instance: 'b' },
    ];
    const history = new HealthHistory(pool.operations);
    expect(history.since('a')).toBeUndefined();
    await history.readLog(100);
    expect(['a', 'b', 'c', 'other'].map((id) => history.since(id))).toEqual([
      800,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('stays unknown while the log cannot be read, and is known from the next change on', async () => {
    const pool = new FakePool();
    pool.log = undefined;
    pool.become({ a: 'up' });
    const history = new HealthHistory(pool.operations);
    await history.readLog(100);
    expect(history.since('a')).toBeUndefined();
    pool.become({ a: 'down' });
    expect(history.since('a')).toBe(1_000);
  });

  test('is forgotten with the instance', () => {
    const pool = new FakePool();
    const history = new HealthHistory(pool.operations);
    pool.become({ a: 'unknown' });
    pool.become({});
    expect(history.since('a')).toBeUndefined();
  });
});
