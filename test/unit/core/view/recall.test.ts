import { describe, expect, test } from 'vitest';
import type { Replica } from '../../../../src/core/view/replica.ts';
import type { Knowledge } from '../../../../src/core/view/replica-options.ts';
import { ViewStore } from '../../../../src/core/view/view-store.ts';
import type { Cluster } from './view-store-cluster.ts';
import { JOIN, LEASE, says, twoGateways } from './view-store-cluster.ts';

const knows = ({ agreed, lastSync: { policy } }: Replica): Knowledge => ({ agreed, policy });

/** The store loses everything, under a new generation. */
function empty(cluster: Cluster): void {
  Object.assign(cluster, {
    viewStore: new ViewStore({ leaseMs: LEASE, joinMs: JOIN }),
    storeGeneration: 'L2',
  });
}

/** What two gateways knew after the failover from a to b, and an operator's decision. */
function afterFailover(): { cluster: Cluster; known: Knowledge } {
  const { cluster, g1, g2 } = twoGateways();
  for (const replica of [g1, g2]) replica.setReport(says('down'));
  cluster.settle(g1, g2);
  const policy = { ...g1.lastSync.policy, version: 1, failback: { kind: 'immediate' as const } };
  cluster.viewStore.commitPolicy({ base: 0, policy, events: [] }, cluster.storeGeneration, cluster.now);
  cluster.pass(1, g1, g2);
  expect(g1.agreed.active).toBe('b');
  return { cluster, known: { ...knows(g1), policy: { ...policy, failback: { kind: 'never' } } } };
}

describe('a replica that starts with what it knew before, at a store that has lost everything', () => {
  test('brings back view and policy: the active instance stays, although the preferred one is up', () => {
    const { cluster, known } = afterFailover();
    empty(cluster);
    const g3 = cluster.replica('g3');
    cluster.settle(g3);
    g3.recall(known, cluster.moment);
    cluster.pass(LEASE, g3);
    expect([g3.agreed.active, cluster.target(g3)]).toEqual(['b', 'b']);
    // a is up again, so there is a next view.
    expect(g3.agreed.epoch).toBe(known.agreed.epoch + 1);
    expect(g3.lastSync.policy).toEqual(known.policy);
    expect(cluster.viewStore.state.policy).toEqual(known.policy);
  });

  test('of two, the later view counts, and both act on it', () => {
    const { cluster, known } = afterFailover();
    const older: Knowledge = {
      agreed: { ...known.agreed, epoch: known.agreed.epoch - 1, id: 'older', active: 'a' },
      policy: { ...known.policy, version: 0 },
    };
    for (const order of [
      [older, known],
      [known, older],
    ]) {
      empty(cluster);
      const replicas = ['g3', 'g4'].map((id) => cluster.replica(id)) as [Replica, Replica];
      cluster.settle(...replicas);
      for (const [i, replica] of replicas.entries()) {
        replica.recall(order[i] as Knowledge, cluster.moment);
        cluster.sync(replica);
      }
      cluster.pass(LEASE, ...replicas);
      for (const replica of replicas)
        expect([replica.agreed.active, cluster.target(replica)]).toEqual(['b', 'b']);
      expect(replicas[0].agreed.id).toBe(replicas[1].agreed.id);
    }
  });

  test('takes nothing from before once a living gateway has told the store what it knows', () => {
    const { cluster, known } = afterFailover();
    empty(cluster);
    const g3 = cluster.replica('g3');
    cluster.begin(g3);
    const { id, epoch } = g3.agreed;
    expect(epoch).toBeLessThan(known.agreed.epoch);
    Object.assign(cluster, { storeGeneration: 'L3' });
    const g4 = cluster.replica('g4');
    cluster.sync(g3);
    expect(cluster.sync(g4).open).toBe(false);
    g4.recall(known, cluster.moment);
    cluster.pass(LEASE, g3, g4);
    expect([g3.agreed.id, g4.agreed.id]).toEqual([id, id]);
    expect(cluster.target(g4)).toBe('a');
  });

  test('takes nothing from before at a store that is open, or has not answered', () => {
    const { cluster, known } = afterFailover();
    const silent = cluster.replica('g3');
    silent.recall(known, cluster.moment);
    expect(silent.agreed.epoch).toBe(0);
    empty(cluster);
    const g4 = cluster.replica('g4');
    cluster.begin(g4);
    const { id } = g4.agreed;
    const g5 = cluster.replica('g5');
    const request = g5.request(cluster.moment);
    const reply = cluster.viewStore.sync(request, 'L2', cluster.now);
    g5.accept(request, { ...reply, view: undefined }, cluster.moment, cluster.moment);
    g5.recall(known, cluster.moment);
    cluster.settle(g4, g5);
    expect(g5.agreed.id).toBe(id);
  });
});
