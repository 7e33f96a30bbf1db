import { describe, expect, test } from 'vitest';
import { wayToBind } from '../../../../src/core/target.ts';
import type { Replica } from '../../../../src/core/view/replica.ts';
import type { SyncReply } from '../../../../src/core/view/view-store.ts';
import { epochOf, ViewStore } from '../../../../src/core/view/view-store.ts';
import { Cluster, JOIN, LEASE, says, twoGateways } from './view-store-cluster.ts';

describe('a store that has lost its last writes', () => {
  test('goes on under the view that the replicas remember', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.setReport(says('down'));
    cluster.settle(g1, g2);
    const { epoch, id } = g1.agreed;

    const emptied = new ViewStore({ leaseMs: LEASE, joinMs: JOIN });
    Object.assign(cluster, { viewStore: emptied, storeGeneration: 'L2' });
    cluster.settle(g1, g2);
    // The store waits for replicas that may still hold a lease; those with a lease go on meanwhile.
    expect([g1.agreed.id, g1.fencingToken]).toEqual([id, '']);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual(['b', 'b']);
    expect(wayToBind(g1, cluster.now, cluster.now)).toBe('wait');
    cluster.pass(LEASE, g1, g2);
    expect([g1.agreed.epoch, g2.agreed.id]).toEqual([epoch, id]);
    expect(epochOf(g1.fencingToken)).toBe(epoch);
  });

  test('keeps the acts of operators if one replica knows them', () => {
    const { cluster, g1, g2 } = twoGateways();
    const policy = { ...g1.lastSync.policy, version: 1, failback: { kind: 'immediate' as const } };
    cluster.viewStore.commitPolicy({ base: 0, policy, events: [] }, cluster.storeGeneration, cluster.now);
    cluster.sync(g1);
    Object.assign(cluster, {
      viewStore: new ViewStore({ leaseMs: LEASE, joinMs: JOIN }),
      storeGeneration: 'L2',
    });
    cluster.sync(g2);
    expect([g1.lastSync.policy.version, g2.lastSync.policy.version]).toEqual([1, 0]);
    cluster.pass(LEASE, g1, g2);
    expect([g1.lastSync.policy, g2.lastSync.policy, cluster.viewStore.state.policy]).toEqual([
      policy,
      policy,
      policy,
    ]);
    expect(g1.fencingToken).not.toBe('');
  });

  test('opens as soon as all registered replicas have synced', () => {
    const { cluster, g1, g2 } = twoGateways();
    cluster.storeGeneration = 'L2';
    cluster.sync(g1);
    expect(cluster.sync(g1)).toMatchObject({ open: false, granted: true, fencingToken: '' });
    cluster.sync(g2);
    expect(cluster.sync(g2).open).toBe(true);
    expect(cluster.sync(g1).fencingToken).not.toBe('');
  });

  test('gives no fencing token to a replica whose bindings are not written back', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    cluster.storeGeneration = 'L2';
    cluster.now += 1_000;
    const request = g1.request(cluster.moment);
    expect(cluster.viewStore.sync(request, 'L2', cluster.now).open).toBe(false);
  });

  test('never goes back to an epoch that a replica has seen', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.setReport(says('down'));
    cluster.settle(g1, g2);
    const seen = g1.agreed.epoch;
    const emptied = new ViewStore({ leaseMs: LEASE, joinMs: JOIN });
    Object.assign(cluster, { viewStore: emptied, storeGeneration: 'L2' });
    const g3 = cluster.replica('g3');
    cluster.begin(g3);
    expect(g3.agreed.epoch).toBeLessThanOrEqual(seen);
    cluster.settle(g3, g1);
    expect(g3.agreed.epoch).toBeGreaterThan(seen);
    expect(g1.agreed.id).toBe(g3.agreed.id);
  });
});

describe('a clock of the store that is set', () => {
  test('forward, ends no registration whose lease may hold', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.setReport(says('down'));
    const ahead = 60_000;
    // The replicas' own clocks go on as before.
    const sync = (replica: Replica): SyncReply => {
      const request = replica.request(cluster.moment);
      const reply = cluster.viewStore.sync(request, cluster.storeGeneration, cluster.now + ahead);
      replica.accept(request, reply, cluster.moment, cluster.moment);
      return reply;
    };
    // One replica syncs again and again; the store waits for the other.
    for (let s = 0; s < 3; s += 1) {
      expect(sync(g1)).toMatchObject({ open: false, granted: true, replicas: 2, fencingToken: '' });
      cluster.now += 10;
    }
    const view = { ...g1.agreed, epoch: g1.agreed.epoch + 1, id: 'next' };
    const proposal = { replica: 'g1', base: g1.agreed.id, view, events: [] };
    expect(cluster.viewStore.propose(proposal, cluster.storeGeneration, cluster.now + ahead)).toBe(false);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual(['a', 'a']);
    sync(g2);
    expect(sync(g1)).toMatchObject({ open: true, granted: true });
  });

  test('back, makes no replica wait until that time has come again', () => {
    const { cluster, g1, g2 } = twoGateways();
    cluster.now -= 3_600_000;
    cluster.settle(g1, g2);
    expect(cluster.sync(g1)).toMatchObject({ open: true, granted: true, replicas: 2 });
    cluster.viewStore.leave('g2');
    g1.setReport(says('down'));
    cluster.settle(g1);
    expect(g1.agreed.active).toBe('b');
  });
});

describe('a view store that was emptied', () => {
  /** The store has forgotten a replica that still holds a lease, and knows only a new one. */
  const emptied = (): [Cluster, Replica] => {
    const cluster = new Cluster();
    const newcomer = cluster.replica('g1');
    cluster.sync(newcomer);
    return [cluster, newcomer];
  };

  test('still waits for forgotten replicas when its clock is set', () => {
    const [cluster, newcomer] = emptied();
    cluster.now += LEASE / 2 + 1;
    cluster.sync(newcomer);
    expect(cluster.sync(newcomer)).toMatchObject({ open: false, granted: false });
    cluster.pass(LEASE, newcomer);
    expect(cluster.sync(newcomer)).toMatchObject({ open: true, granted: true });
  });

  test('still waits for forgotten replicas when another generation begins', () => {
    const [cluster, newcomer] = emptied();
    cluster.storeGeneration = 'L2';
    cluster.sync(newcomer);
    expect(cluster.sync(newcomer)).toMatchObject({ open: false, granted: false });
  });
});

test('a view store waits for a live replica that has much to write back, but not for ever', () => {
  const cluster = new Cluster();
  const [g1, g2] = [cluster.replica('g1'), cluster.replica('g2')];
  cluster.begin(g1, g2);
  cluster.storeGeneration = 'L2';
  const sync = (replica: Replica): SyncReply => {
    const request = replica.request(cluster.moment);
    const reply = cluster.viewStore.sync(request, cluster.storeGeneration, cluster.now);
    replica.accept(request, reply, cluster.moment, cluster.moment);
    return reply;
  };
  for (let s = 0; s < 10; s += 1) {
    cluster.sync(g1);
    expect(sync(g2)).toMatchObject({ open: false, granted: true });
    cluster.now += JOIN;
  }
  for (let s = 0; s < 25; s += 1) {
    cluster.sync(g1);
    sync(g2);
    cluster.now += JOIN;
  }
  expect(cluster.sync(g1)).toMatchObject({ open: true, granted: true });
  expect(sync(g2)).toMatchObject({ open: true, granted: false });
});
