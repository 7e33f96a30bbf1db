import { describe, expect, test } from 'vitest';
import { checkTarget } from '../../../../src/core/target.ts';
import type { Replica } from '../../../../src/core/view/replica.ts';
import { Cluster, JOIN, LEASE, RULES, says, twoGateways } from './view-store-cluster.ts';

describe('a lease', () => {
  test('on an empty view store is granted after the time of a lease, since a replica may still hold one', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.pass(LEASE - 1, g1);
    expect(cluster.mode(g1)).toBe('waiting');
    cluster.pass(1, g1);
    expect(cluster.mode(g1)).toBe('leased');
    expect(cluster.target(g1)).toBe('a');
  });

  test('of a new replica comes after the time that a store may forget on a failover', () => {
    const cluster = new Cluster();
    const [g1, g2] = [cluster.replica('g1'), cluster.replica('g2')];
    cluster.begin(g1);
    cluster.settle(g1, g2);
    cluster.now += JOIN - 1;
    cluster.settle(g1, g2);
    expect(cluster.mode(g2)).toBe('waiting');
    cluster.now += 1;
    cluster.settle(g1, g2);
    expect(cluster.mode(g2)).toBe('leased');
  });

  test('ends before the registration does', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    cluster.now += LEASE * 0.95;
    expect(cluster.target(g1)).toBeUndefined();
    expect(cluster.mode(g1)).toBe('waiting');
  });

  test('ends on the wall clock too, which goes on while a machine is suspended', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    expect(g1.modeAt(cluster.now, cluster.now + LEASE)).toBe('waiting');
    expect(g1.modeAt(cluster.now + LEASE, cluster.now)).toBe('waiting');
  });
});

describe('a new view', () => {
  test('takes effect when every live replica has acknowledged it', () => {
    const { cluster, g1, g2 } = twoGateways();
    g1.setReport(says('down'));
    g2.setReport(says('down'));
    cluster.sync(g2);
    cluster.sync(g1);
    expect(cluster.propose(g1)).toBe(true);
    // g2 does not know it yet and may still send to the old instance, so g1 sends nothing.
    expect(cluster.target(g2)).toBe('a');
    expect(cluster.sync(g1).effective).toBe(false);
    expect(cluster.target(g1)).toBeUndefined();
    expect(g1.fencingToken).toBe('');
    // g2 learns the view and stops; its acknowledgement puts the view into effect.
    cluster.sync(g2);
    expect(cluster.target(g2)).toBeUndefined();
    expect(cluster.sync(g2).effective).toBe(true);
    expect(cluster.target(g2)).toBe('b');
    cluster.sync(g1);
    expect(cluster.target(g1)).toBe('b');
  });

  test('waits for the lease of a replica that has died, and no longer', () => {
    const cluster = new Cluster();
    const [g1, g2, g3] = [cluster.replica('g1'), cluster.replica('g2'), cluster.replica('g3')];
    cluster.begin(g1, g2, g3);
    for (const replica of [g1, g2]) replica.setReport(says('down'));
    cluster.settle(g1, g2);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual([undefined, undefined]);
    expect(cluster.target(g3)).toBe('a');
    cluster.pass(LEASE - 1, g1, g2);
    expect([g1, g2, g3].map((replica) => cluster.target(replica))).toEqual([undefined, undefined, undefined]);
    cluster.pass(1, g1, g2);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual(['b', 'b']);
  });

  test('does not wait for a replica that has left', () => {
    const { cluster, g1 } = twoGateways();
    cluster.viewStore.leave('g2');
    g1.setReport(says('down'));
    cluster.settle(g1);
    expect(cluster.target(g1)).toBe('b');
  });

  test('is written once when two propose at the same time', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.setReport(says('down'));
    for (const replica of [g1, g2, g1]) cluster.sync(replica);
    const before = g1.agreed.epoch;
    expect([cluster.propose(g1), cluster.propose(g2)]).toEqual([true, false]);
    cluster.settle(g1, g2);
    expect([g1.agreed.epoch, g2.agreed.id]).toEqual([before + 1, g1.agreed.id]);
    const events = cluster.viewStore.events.filter(({ epoch }) => epoch === before + 1);
    expect(events.map(({ kind, instance, by }) => `${kind} ${instance} ${by}`)).toEqual([
      'down a g1',
      'active b g1',
    ]);
  });

  test('does not hold a request that it and the view before both allow', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.setReport(says('up', 'down'));
    for (const replica of [g1, g2, g1]) cluster.sync(replica);
    expect(cluster.propose(g1)).toBe(true);
    expect(cluster.target(g1)).toBe('a');
  });

  test('that a replica without a lease learns is not acted on until it is in effect', () => {
    const { cluster, g1, g2 } = twoGateways();
    g1.setReport(says('down'));
    cluster.pass(LEASE + 1, g1);
    expect(cluster.target(g1)).toBe('b');
    expect(cluster.target(g2)).toBeUndefined();
    cluster.sync(g2);
    expect(cluster.target(g2)).not.toBe('a');
  });
});

describe('a replica that joins while a view is not in effect yet', () => {
  test('does not act on it before it is in effect, since it knows no view before', () => {
    const cluster = new Cluster();
    const [g1, g2, g3] = [cluster.replica('g1'), cluster.replica('g2'), cluster.replica('g3')];
    cluster.begin(g1, g2);
    cluster.sync(g3);
    cluster.pass(JOIN, g1, g2);
    for (const replica of [g1, g2, g3]) replica.setReport(says('down'));
    for (const replica of [g1, g2, g1]) cluster.sync(replica);
    cluster.propose(g1);
    cluster.sync(g3);
    expect(g3.isBlocked).toBe(true);
    expect(cluster.target(g3)).toBeUndefined();
  });
});

test('an instance that only other gateways have gets no requests from here, and no agent is moved', () => {
  const cluster = new Cluster();
  const more = { ...RULES, mode: 'sticky' as const };
  const fewer = { ...more, instances: more.instances.slice(0, 1) };
  const [g1, g2] = [cluster.replica('g1', { rules: more }), cluster.replica('g2', { rules: fewer })];
  cluster.begin(g1, g2);
  const bound = { instance: 'b', incarnation: '' };
  expect(checkTarget(g1, bound, cluster.now, cluster.now)).toBe('forward');
  expect(checkTarget(g2, bound, cluster.now, cluster.now)).toBe('cut-off');
  expect(g2.candidates.map(({ id }) => id)).toEqual(['a']);
});

test('gateways of different configurations make views by the agreed rules', () => {
  const cluster = new Cluster();
  const [any, all] = [
    cluster.replica('any', { rules: { ...RULES, quorum: 'any' } }),
    cluster.replica('all', { rules: { ...RULES, quorum: 'all' } }),
  ];
  cluster.begin(any, all);
  const rules = { quorum: 'any' as const, quarantines: false, countsLives: false };
  const policy = { ...any.lastSync.policy, version: 1, rules };
  cluster.viewStore.commitPolicy({ base: 0, policy, events: [] }, cluster.storeGeneration, cluster.now);
  any.setReport(says('down'));
  cluster.settle(any, all);
  const { epoch, instances } = any.agreed;
  expect(instances['a']?.health).toBe('down');
  cluster.settle(any, all);
  expect([any.agreed.epoch, all.agreed.epoch]).toEqual([epoch, epoch]);
});

test('the report of a gateway that has abstained for a lease is not waited for, but its acknowledgement is', () => {
  const { cluster, g1, g2 } = twoGateways();
  g2.setReport(undefined);
  g1.setReport(says('down'));
  cluster.pass(LEASE - JOIN, g1, g2);
  expect(g1.agreed.active).toBe('a');
  expect([...g1.cutOff]).toEqual([]);

  cluster.pass(2 * JOIN, g1, g2);

  expect([g1.agreed.active, g2.agreed.active]).toEqual(['b', 'b']);
  expect([cluster.target(g1), cluster.target(g2)]).toEqual(['b', 'b']);
});

describe('an instance that one replica alone cannot reach', () => {
  test('is cut off there after a while, keeps its agents, and takes no new ones from there', () => {
    const cluster = new Cluster();
    const replicas = ['g1', 'g2', 'g3'].map((id) => cluster.replica(id));
    const [g1, g2] = replicas as [Replica, Replica];
    cluster.begin(...replicas);
    g1.setReport(says('down'));
    g1.tick(cluster.moment);
    cluster.settle(...replicas);
    expect([g1.agreed.active, [...g1.unreachable], g1.candidates.length]).toEqual(['a', ['a'], 0]);
    expect(cluster.target(g1)).toBe('a');
    cluster.now += 1_750;
    expect(g1.tick(cluster.moment)).toBe(true);
    const bound = { instance: 'a', incarnation: '' };
    expect(checkTarget(g1, bound, cluster.now, cluster.now)).toBe('cut-off');
    expect(checkTarget(g2, bound, cluster.now, cluster.now)).toBe('forward');
  });
});

test('a policy is written by compare-and-set on its version, and not before the store is open', () => {
  const cluster = new Cluster();
  const { viewStore, storeGeneration } = cluster;
  const policy = { ...viewStore.state.policy, version: 1 };
  const change = { base: 0, policy, events: [] };
  expect(viewStore.commitPolicy(change, storeGeneration, cluster.now)).toBe(false);
  cluster.begin(cluster.replica('g1'));
  expect(viewStore.commitPolicy(change, 'another', cluster.now)).toBe(false);
  expect(viewStore.commitPolicy(change, storeGeneration, cluster.now)).toBe(true);
  expect(viewStore.commitPolicy(change, storeGeneration, cluster.now)).toBe(false);
  expect(viewStore.state.policy.version).toBe(1);
});
