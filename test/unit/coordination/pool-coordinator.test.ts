import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalViewStore } from '../../../src/coordination/local-view-store.ts';
import type { PoolCoordinator } from '../../../src/coordination/pool-coordinator.ts';
import type { ViewStoreClient } from '../../../src/core/ports.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { Coordinators, FAIL, guarded, observeBoth, PASS, target } from './pool-coordinator-support.ts';

let coordinators: Coordinators;

beforeEach(() => {
  coordinators = new Coordinators();
});

afterEach(() => coordinators.close());

describe('several gateways on one view store', () => {
  test('agree, and keep an instance that only one of them has lost', async () => {
    const viewStore = new LocalViewStore({ leaseMs: 300, joinMs: 100 });
    const all = ['g1', 'g2', 'g3'].map((id) => coordinators.make(id, viewStore, { leaseMs: 300 }));
    for (const coordinator of all) {
      await coordinator.start();
      observeBoth(coordinator, PASS);
    }
    await Promise.all(all.map((coordinator) => coordinator.settled()));
    await eventually(() => expect(all.map(target)).toEqual(['a', 'a', 'a']));

    all[0]?.observed('a', FAIL, 1);
    await eventually(() =>
      expect(
        all[1]?.lastSync.reports.filter(({ report }) => report?.verdicts['a']?.health === 'down'),
      ).toHaveLength(1),
    );
    expect(all.map(({ agreed }) => agreed.active)).toEqual(['a', 'a', 'a']);

    all[1]?.observed('a', FAIL, 1);
    await eventually(() => expect(all.map(target)).toEqual(['b', 'b', 'b']));
  });

  test('do not count a gateway that cannot trust its clock', async () => {
    const viewStore = new LocalViewStore({ leaseMs: 300, joinMs: 100 });
    const [g1, g2] = ['g1', 'g2'].map((id) => coordinators.make(id, viewStore, { leaseMs: 300 })) as [
      PoolCoordinator,
      PoolCoordinator,
    ];
    for (const coordinator of [g1, g2]) {
      await coordinator.start();
      observeBoth(coordinator, PASS);
    }
    await Promise.all([g1.settled(), g2.settled()]);
    g2.trustClock(false, 'the event loop stood still');
    g2.observed('a', FAIL, 1);
    g1.observed('a', FAIL, 1);
    await eventually(() =>
      expect(g1.lastSync.reports.find(({ replica }) => replica === 'g2')?.report).toBeUndefined(),
    );
    expect(g1.agreed.active).toBe('a');
    g2.trustClock(true, 'calm again');
    await eventually(() => expect([target(g1), target(g2)]).toEqual(['b', 'b']));
  });
});

test('a lease counts from the request, however late the answer comes', async () => {
  const LEASE_MS = 600;
  const LATE_MS = 100;
  let askedAt = 0;
  const viewStore = guarded(new LocalViewStore({ leaseMs: LEASE_MS, joinMs: 0 }), async () => {
    askedAt = performance.now();
    while (performance.now() < askedAt + LATE_MS)
      await new Promise<void>((resolve) => setTimeout(resolve, LATE_MS));
  });
  /** How much longer than that each granted lease was. */
  const granted: number[] = [];
  const coordinator: PoolCoordinator = coordinators.make('g1', viewStore, {
    leaseMs: LEASE_MS,
    publisher: {
      publish: () => {
        const { leaseRemaining } = coordinator;
        if (leaseRemaining > 0) granted.push(performance.now() + leaseRemaining - askedAt - LEASE_MS);
      },
      mayActUntil: () => Number.NEGATIVE_INFINITY,
    },
  });
  await coordinator.start();
  await eventually(() => expect(granted.length).toBeGreaterThan(2));
  expect(Math.max(...granted)).toBeLessThan(0);
});

/** The view store, with answers that take so long. */
function slow(viewStore: LocalViewStore, answersAfterMs: () => number): ViewStoreClient {
  return {
    ...guarded(viewStore, async () => {}),
    sync: async (request) => {
      const reply = await viewStore.sync(request);
      await new Promise((resolve) => setTimeout(resolve, answersAfterMs()));
      return reply;
    },
  };
}

describe('a view store whose answers are slow', () => {
  const LEASE_MS = 900;

  test('still grants leases while they come within a third of a lease', async () => {
    const viewStore = slow(new LocalViewStore({ leaseMs: LEASE_MS, joinMs: 50 }), () => 120);
    const coordinator = coordinators.make('g1', viewStore, { leaseMs: LEASE_MS });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    coordinator.observed('a', FAIL, coordinator.agreed.epoch);
    await eventually(() => expect(target(coordinator)).toBe('b'));
    expect(coordinators.told.filter((line) => line.includes('store'))).toEqual([]);
  });

  test('informs a gateway for which they come too late, grants it no lease, and keeps no request waiting', async () => {
    const viewStore = new LocalViewStore({ leaseMs: LEASE_MS, joinMs: 50 });
    let delayMs = 0;
    const g1 = coordinators.make('g1', viewStore, { leaseMs: LEASE_MS });
    const g2 = coordinators.make(
      'g2',
      slow(viewStore, () => delayMs),
      { leaseMs: LEASE_MS },
    );
    for (const coordinator of [g1, g2]) {
      await coordinator.start();
      observeBoth(coordinator, PASS);
    }
    await Promise.all([g1.settled(), g2.settled()]);

    delayMs = LEASE_MS / 2;
    const act = { id: 'x', state: 'disabled', by: 'operator', at: 0, why: '', deadline: 0 } as const;
    await g1.commitPolicy((policy) => ({ ...policy, instances: { a: act } }), []);

    await eventually(() => expect(target(g1)).toBe('b'));
    await eventually(() => expect(g2.agreed.active).toBe('b'));
    expect(g1.lastSync.replicas).toBe(2);
    await eventually(() => expect(g2.leaseRemaining).toBe(0));
    delayMs = 0;
    await eventually(() => expect(g2.leaseRemaining).toBeGreaterThan(0));
    expect(target(g2)).toBe('b');
  });

  test('writes a change after that of another gateway, whose policy it tells late', async () => {
    const viewStore = new LocalViewStore({ leaseMs: 0, joinMs: 0 });
    const g1 = coordinators.make('g1', viewStore);
    const g2 = coordinators.make(
      'g2',
      slow(viewStore, () => 120),
    );
    await Promise.all([g1.start(), g2.start()]);
    await eventually(() => expect([g1, g2].map(({ lastSync }) => lastSync.isOpen)).toEqual([true, true]));
    const act = { id: 'x', state: 'disabled', by: 'operator', at: 0, why: '', deadline: 0 } as const;
    await g1.commitPolicy((policy) => ({ ...policy, instances: { ...policy.instances, a: act } }), []);

    const { instances } = await g2.commitPolicy(
      (policy) => ({ ...policy, instances: { ...policy.instances, b: act } }),
      [],
    );

    expect(instances).toEqual({ a: act, b: act });
  });
});

describe('a view store that fails', () => {
  test.each([
    ['at once', (confirm: () => unknown) => void confirm()],
    ['by a message', (confirm: () => unknown) => void setImmediate(confirm)],
  ])('is asked again after a pause, also with news that workers confirm %s', async (_, send) => {
    const viewStore = new LocalViewStore({ leaseMs: 200, joinMs: 60 });
    let isAway = false;
    let asked = 0;
    const failing = guarded(viewStore, async () => {
      if (!isAway) return;
      asked += 1;
      // Lets a failing test end: requests without a pause keep the process from all other work.
      if (asked > 1_000) await new Promise(setImmediate);
      throw new StoreUnavailable('away');
    });
    let hasAdopted = true;
    const coordinator: PoolCoordinator = coordinators.make('g1', failing, {
      leaseMs: 200,
      awaitsConfirmation: true,
      // As workers that have adopted the view.
      publisher: {
        publish: () => send(() => hasAdopted && coordinator.confirm(coordinator.agreed.id)),
        mayActUntil: () => Number.NEGATIVE_INFINITY,
      },
    });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();

    hasAdopted = false;
    coordinator.observed('a', FAIL, coordinator.agreed.epoch);
    await eventually(() => expect(coordinator.agreed.active).toBe('b'));
    isAway = true;
    hasAdopted = true;
    await eventually(() => expect(coordinators.told).toContain('g1: store away'));
    expect(asked).toBeLessThan(20);
    isAway = false;
    await eventually(() => expect(target(coordinator)).toBe('b'));
  });

  test('is asked again after another error prevented the write-back', async () => {
    let failures = 0;
    const coordinator = coordinators.make('g1', new LocalViewStore({ leaseMs: 200, joinMs: 60 }), {
      leaseMs: 200,
      writeBack: async () => {
        failures += 1;
        if (failures < 3) throw new Error(`failure ${failures}`);
      },
    });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    await eventually(() => expect(coordinator.routingState.fencingToken).not.toBe(''));
    expect(coordinators.told.filter((line) => line.includes('failure'))).toEqual([
      'g1: failure 1',
      'g1: failure 2',
    ]);
  });

  test('counts as away after a while; when it is back, bindings are written back first', async () => {
    const viewStore = new LocalViewStore({ leaseMs: 200, joinMs: 60 });
    let isAway = false;
    const order: string[] = [];
    const failing = guarded(viewStore, async () => {
      if (isAway) throw new StoreUnavailable('away');
    });
    const coordinator = coordinators.make('g1', failing, {
      leaseMs: 200,
      writeBack: async () => void order.push('written back'),
    });
    coordinator.onChange(() => {
      if (coordinator.routingState.fencingToken !== '' && order.at(-1) !== 'token') order.push('token');
    });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    expect(order).toEqual(['written back', 'token']);

    isAway = true;
    await eventually(() => expect(coordinators.told).toContain('g1: store away'));
    await eventually(() =>
      expect(coordinator.routingState.modeAt(performance.now(), Date.now())).toBe('degraded'),
    );
    expect(target(coordinator)).toBe('a');
    isAway = false;
    await eventually(() => expect(coordinators.told).toContain('g1: store available'));

    await eventually(() => expect(coordinator.routingState.fencingToken).not.toBe(''));
    expect(order).toEqual(['written back', 'token', 'written back', 'token']);
  });
});
