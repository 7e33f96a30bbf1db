import { describe, expect, test } from 'vitest';
import { wayToBind } from '../../../../src/core/target.ts';
import type { Replica } from '../../../../src/core/view/replica.ts';
import { Cluster, JOIN, LEASE, says, twoGateways } from './view-store-cluster.ts';

describe('a replica without the store', () => {
  const fail = (cluster: Cluster, replica: Replica, forMs: number): void => {
    for (let passed = 0; passed <= forMs; passed += 100) {
      replica.failed(cluster.moment);
      cluster.now += 100;
    }
  };

  test('places no agent before it knows the bindings of the others, until the outage is as long as a lease', () => {
    const cluster = new Cluster();
    let knowsAgents = false;
    const g1 = cluster.replica('g1', { knowsAgents: () => knowsAgents });
    cluster.begin(g1);
    fail(cluster, g1, LEASE - 200);
    expect(g1.placesAlone).toBe(false);
    fail(cluster, g1, 300);
    expect(g1.placesAlone).toBe(true);

    cluster.begin(g1);
    knowsAgents = true;
    fail(cluster, g1, 400);
    expect(g1.placesAlone).toBe(true);
  });

  test('doubts the store when a claim and a sync have failed, in either order, and then still waits', () => {
    for (const claimFirst of [true, false]) {
      const cluster = new Cluster();
      const g1 = cluster.replica('g1', { awayMs: 300 });
      cluster.begin(g1);
      const since = cluster.moment.mono;
      cluster.now += 100;
      const steps = [
        () => g1.doubtStore(cluster.moment, { since }),
        () => g1.failed(cluster.moment, { since }),
      ];
      const [first, second] = claimFirst ? steps : steps.reverse();
      first?.();
      // Several failed claims count as one doubt.
      if (claimFirst) first?.();
      expect([g1.placesAlike, g1.placesAlone]).toEqual([false, false]);
      second?.();
      expect([g1.placesAlike, g1.placesAlone]).toEqual([true, false]);
    }
  });

  test('places alone once a request failed that was sent after the store had its time', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1', { awayMs: 300 });
    cluster.begin(g1);
    const since = cluster.moment.mono;
    g1.doubtStore(cluster.moment, { since });
    // Sent one millisecond before the store had its time, although it failed much later.
    cluster.now += 500;
    g1.failed(cluster.moment, { since: since + 299 });
    expect(g1.placesAlone).toBe(false);
    g1.failed(cluster.moment, { since: since + 300 });
    expect(g1.placesAlone).toBe(true);
  });

  test('does not blame the store while its own timers are late, but not for longer than a lease', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1', { awayMs: 300 });
    cluster.begin(g1);
    const begun = cluster.now;
    while (cluster.now < begun + LEASE - 100) {
      cluster.now += 100;
      g1.doubtStore(cluster.moment, { since: cluster.moment.mono - 50, wasLate: true });
      g1.failed(cluster.moment, { since: cluster.moment.mono - 50, wasLate: true });
    }
    expect([g1.placesAlike, g1.placesAlone, g1.isFailing]).toEqual([false, false, true]);
    for (let passed = 0; passed <= 600; passed += 100) {
      cluster.now += 100;
      g1.failed(cluster.moment, { since: cluster.moment.mono - 50, wasLate: true });
    }
    expect(g1.placesAlone).toBe(true);
  });

  test('places no agent alone after the store has answered, until it is silent again', () => {
    const { cluster, g1, g2 } = twoGateways();
    const ways = (): string[] => [cluster.mode(g1), wayToBind(g1, cluster.now, cluster.now)];
    const failBesideOther = (): void => {
      for (let passed = 0; passed <= LEASE + 500; passed += 100) {
        g1.failed(cluster.moment);
        cluster.sync(g2);
        cluster.now += 100;
      }
    };
    failBesideOther();
    expect(ways()).toEqual(['degraded', 'degraded']);
    // What it knows has to be written back before it gets a lease; known agents are served meanwhile.
    const request = g1.request(cluster.moment);
    g1.accept(
      request,
      cluster.viewStore.sync(request, cluster.storeGeneration, cluster.now),
      cluster.moment,
      cluster.moment,
    );
    expect(ways()).toEqual(['degraded', 'wait']);
    failBesideOther();
    expect(ways()).toEqual(['degraded', 'degraded']);
  });

  test('acts on its lease, then goes on alone and skips instances that it finds down', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    fail(cluster, g1, 500);
    expect([cluster.mode(g1), g1.placesAlone]).toEqual(['leased', true]);
    fail(cluster, g1, LEASE);
    expect([cluster.mode(g1), cluster.target(g1)]).toEqual(['degraded', 'a']);
    g1.setReport(says('down'));
    expect(cluster.target(g1)).toBe('b');
    // When the store is back, the agreed view counts.
    cluster.now += 10_000;
    g1.setReport(says('up'));
    cluster.pass(JOIN, g1);
    expect([cluster.mode(g1), cluster.target(g1)]).toEqual(['leased', 'a']);
  });

  test('that has lost its lease goes on alone only after as long as a lease without the store', () => {
    const { cluster, g1, g2 } = twoGateways();
    // g2 stands still; the others go on to another view.
    g1.setReport(says('down'));
    cluster.pass(LEASE + 1, g1);
    expect(cluster.target(g1)).toBe('b');
    fail(cluster, g2, LEASE - 200);
    expect([cluster.mode(g2), cluster.target(g2)]).toEqual(['waiting', undefined]);
    fail(cluster, g2, 200);
    expect(cluster.mode(g2)).toBe('degraded');
  });

  test('that stood still while the store was away checks again whether it still is', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    fail(cluster, g1, LEASE + 500);
    expect(cluster.mode(g1)).toBe('degraded');
    g1.dropLease();
    fail(cluster, g1, 1_000);
    expect(cluster.mode(g1)).toBe('waiting');
  });

  test('with onStoreLoss refuse does nothing after its lease', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1', { onStoreLoss: 'refuse' });
    cluster.begin(g1);
    fail(cluster, g1, LEASE);
    expect([cluster.mode(g1), cluster.target(g1), g1.placesAlone]).toEqual(['waiting', undefined, false]);
  });

  test('takes neither one lost message nor a pause of its own for an outage', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    cluster.now += 60_000;
    g1.failed(cluster.moment);
    expect([g1.isAway, cluster.mode(g1)]).toEqual([false, 'waiting']);
  });
});
