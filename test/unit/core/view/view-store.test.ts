import { describe, expect, test } from 'vitest';
import { checkTarget, wayToBind } from '../../../../src/core/target.ts';
import type { HealthReport, Verdict } from '../../../../src/core/view/health-report.ts';
import type { PoolRules } from '../../../../src/core/view/pool-rules.ts';
import { Replica } from '../../../../src/core/view/replica.ts';
import type { ReplicaOptions } from '../../../../src/core/view/replica-options.ts';
import type { SyncReply } from '../../../../src/core/view/view-store.ts';
import { epochOf, ViewStore } from '../../../../src/core/view/view-store.ts';

const LEASE = 3_000;
const JOIN = 1_000;
const RULES: PoolRules = {
  mode: 'failover',
  quorum: 'majority',
  quarantines: false,
  countsLives: false,
  instances: [
    { id: 'a', priority: 1, admin: 'enabled' },
    { id: 'b', priority: 2, admin: 'enabled' },
  ],
};
const OPTIONS: Omit<ReplicaOptions, 'id' | 'newId'> = {
  pool: 'ici',
  rules: RULES,
  weights: new Map(),
  leaseMs: LEASE,
  onStoreLoss: 'continue',
  awayMs: 300,
  cutOffMs: 1_750,
};

const verdict = (health: 'up' | 'down'): Verdict => ({ health, incarnation: '', emptyAt: 0 });
const says = (a: 'up' | 'down', b: 'up' | 'down' = 'up'): HealthReport => ({
  verdicts: { a: verdict(a), b: verdict(b) },
  settled: true,
  idle: false,
});

/** A ledger, its replicas and one clock for all of them. */
class Cluster {
  now = 1_000_000;
  life = 'L1';
  readonly viewStore = new ViewStore({ leaseMs: LEASE, joinMs: JOIN });
  #ids = 0;

  replica(id: string, options: Partial<ReplicaOptions> = {}): Replica {
    const replica = new Replica({
      ...OPTIONS,
      id,
      newId: () => {
        this.#ids += 1;
        return String(this.#ids);
      },
      ...options,
    });
    replica.vote(says('up'));
    return replica;
  }

  get moment() {
    return { mono: this.now, wall: this.now };
  }

  /** One exchange with the ledger, after which the replica's bindings are written back. */
  sync(replica: Replica): SyncReply {
    const request = replica.request(this.moment);
    const reply = this.viewStore.sync(request, this.life, this.now);
    replica.accept(request, reply, this.moment);
    if (!replica.isRestored) replica.restored(reply.storeGeneration);
    return reply;
  }

  /** Proposes what the replica sees a reason for, if anything, and tells whether it was taken. */
  propose(replica: Replica): boolean {
    const proposal = replica.proposal(() => undefined);
    if (proposal === undefined || !this.viewStore.propose(proposal, this.life, this.now)) return false;
    replica.proposed(proposal.view, this.moment);
    return true;
  }

  /** Lets every replica speak until nobody has anything to say. */
  settle(...replicas: Replica[]): void {
    for (let round = 0; round < 6; round += 1) {
      for (const replica of replicas) {
        this.sync(replica);
        this.propose(replica);
      }
    }
  }

  /** Past the wait on an empty ledger, with everybody leased. */
  begin(...replicas: Replica[]): void {
    this.pass(LEASE, ...replicas);
  }

  /** Lets time pass, in which these replicas renew their leases. */
  pass(ms: number, ...replicas: Replica[]): void {
    this.settle(...replicas);
    for (let rest = ms; rest > 0; rest -= JOIN) {
      this.now += Math.min(rest, JOIN);
      this.settle(...replicas);
    }
  }

  mode(replica: Replica): string {
    return replica.modeAt(this.now, this.now);
  }

  /** Where a replica would send a request now; `undefined` where it would not. */
  target(replica: Replica): string | undefined {
    const { active, instances } = replica.view;
    const incarnation = instances.get(active)?.incarnation ?? '';
    const verdictOf = checkTarget(replica, { instance: active, incarnation }, this.now, this.now);
    return verdictOf === 'forward' ? active : undefined;
  }
}

/** Two gateways that hold leases and agree that all instances are up. */
function twoGateways(): { cluster: Cluster; g1: Replica; g2: Replica } {
  const cluster = new Cluster();
  const [g1, g2] = [cluster.replica('g1'), cluster.replica('g2')];
  cluster.begin(g1, g2);
  return { cluster, g1, g2 };
}

describe('a lease', () => {
  test('on an empty ledger is given after the time of one, since somebody may still hold one', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.pass(LEASE - 1, g1);
    expect(cluster.mode(g1)).toBe('waiting');
    cluster.pass(1, g1);
    expect(cluster.mode(g1)).toBe('leased');
    expect(cluster.target(g1)).toBe('a');
  });

  test('of one who joins comes later than a store may forget on a failover', () => {
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
    g1.vote(says('down'));
    g2.vote(says('down'));
    cluster.sync(g2);
    cluster.sync(g1);
    expect(cluster.propose(g1)).toBe(true);
    // g2 does not know yet and may still serve the old one; so g1 serves nobody.
    expect(cluster.target(g2)).toBe('a');
    expect(cluster.sync(g1).effective).toBe(false);
    expect(cluster.target(g1)).toBeUndefined();
    expect(g1.fencingToken).toBe('');
    // g2 hears of it, and stops; its acknowledgement puts it into effect.
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
    for (const replica of [g1, g2]) replica.vote(says('down'));
    cluster.settle(g1, g2);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual([undefined, undefined]);
    expect(cluster.target(g3)).toBe('a');
    cluster.pass(LEASE - 1, g1, g2);
    expect([g1, g2, g3].map((replica) => cluster.target(replica))).toEqual([undefined, undefined, undefined]);
    cluster.pass(1, g1, g2);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual(['b', 'b']);
  });

  test('does not wait for one who has taken his leave', () => {
    const { cluster, g1 } = twoGateways();
    cluster.viewStore.leave('g2');
    g1.vote(says('down'));
    cluster.settle(g1);
    expect(cluster.target(g1)).toBe('b');
  });

  test('is written once when two propose at the same time', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.vote(says('down'));
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

  test('does not touch a request that it and the one before both allow', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.vote(says('up', 'down'));
    for (const replica of [g1, g2, g1]) cluster.sync(replica);
    expect(cluster.propose(g1)).toBe(true);
    expect(cluster.target(g1)).toBe('a');
  });

  test('that is met without a lease is not acted on until it is in effect', () => {
    const { cluster, g1, g2 } = twoGateways();
    g1.vote(says('down'));
    cluster.pass(LEASE + 1, g1);
    expect(cluster.target(g1)).toBe('b');
    expect(cluster.target(g2)).toBeUndefined();
    cluster.sync(g2);
    expect(cluster.target(g2)).not.toBe('a');
  });
});

describe('a replica that joins a view under way', () => {
  test('does not act on it before it is in effect, for it knows no view before', () => {
    const cluster = new Cluster();
    const [g1, g2, g3] = [cluster.replica('g1'), cluster.replica('g2'), cluster.replica('g3')];
    cluster.begin(g1, g2);
    cluster.sync(g3);
    cluster.pass(JOIN, g1, g2);
    for (const replica of [g1, g2, g3]) replica.vote(says('down'));
    for (const replica of [g1, g2, g1]) cluster.sync(replica);
    cluster.propose(g1);
    cluster.sync(g3);
    expect(g3.isBlocked).toBe(true);
    expect(cluster.target(g3)).toBeUndefined();
  });
});

describe('a store that has lost what was written last', () => {
  test('goes on under the view that the replicas remember', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.vote(says('down'));
    cluster.settle(g1, g2);
    const { epoch, id } = g1.agreed;

    const emptied = new ViewStore({ leaseMs: LEASE, joinMs: JOIN });
    Object.assign(cluster, { viewStore: emptied, life: 'L2' });
    cluster.settle(g1, g2);
    // It waits for whoever might hold a lease still; those who do hold one go on meanwhile.
    expect([g1.agreed.id, g1.fencingToken]).toEqual([id, '']);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual(['b', 'b']);
    expect(wayToBind(g1, cluster.now, cluster.now)).toBe('wait');
    cluster.pass(LEASE, g1, g2);
    expect([g1.agreed.epoch, g2.agreed.id]).toEqual([epoch, id]);
    expect(epochOf(g1.fencingToken)).toBe(epoch);
  });

  test('keeps what operators decided, as long as one replica knows it', () => {
    const { cluster, g1, g2 } = twoGateways();
    const policy = { ...g1.lastSync.policy, version: 1, failback: { kind: 'immediate' as const } };
    cluster.viewStore.commitPolicy({ base: 0, policy, events: [] }, cluster.life, cluster.now);
    cluster.sync(g1);
    Object.assign(cluster, { viewStore: new ViewStore({ leaseMs: LEASE, joinMs: JOIN }), life: 'L2' });
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

  test('opens as soon as all whom it remembers were heard', () => {
    const { cluster, g1, g2 } = twoGateways();
    cluster.life = 'L2';
    cluster.sync(g1);
    expect(cluster.sync(g1)).toMatchObject({ open: false, granted: true, fencingToken: '' });
    cluster.sync(g2);
    expect(cluster.sync(g2).open).toBe(true);
    expect(cluster.sync(g1).fencingToken).not.toBe('');
  });

  test('gives no fence to one whose bindings are not written back', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    cluster.life = 'L2';
    cluster.now += 1_000;
    const request = g1.request(cluster.moment);
    expect(cluster.viewStore.sync(request, 'L2', cluster.now).open).toBe(false);
  });

  test('never goes back to an epoch that somebody has seen', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.vote(says('down'));
    cluster.settle(g1, g2);
    const seen = g1.agreed.epoch;
    const emptied = new ViewStore({ leaseMs: LEASE, joinMs: JOIN });
    Object.assign(cluster, { viewStore: emptied, life: 'L2' });
    const g3 = cluster.replica('g3');
    cluster.begin(g3);
    expect(g3.agreed.epoch).toBeLessThanOrEqual(seen);
    cluster.settle(g3, g1);
    expect(g3.agreed.epoch).toBeGreaterThan(seen);
    expect(g1.agreed.id).toBe(g3.agreed.id);
  });
});

describe('a replica without the store', () => {
  const fail = (cluster: Cluster, replica: Replica, forMs: number): void => {
    for (let passed = 0; passed <= forMs; passed += 100) {
      replica.failed(cluster.moment);
      cluster.now += 100;
    }
  };

  test('places nobody before it knows whom others have placed, until the outage is as long as a lease', () => {
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

  test('doubts the store when a claim and the ledger have failed, whichever failed first, and then still waits', () => {
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
      // Many claims that fail are one doubt.
      if (claimFirst) first?.();
      expect([g1.placesAlike, g1.placesAlone]).toEqual([false, false]);
      second?.();
      expect([g1.placesAlike, g1.placesAlone]).toEqual([true, false]);
    }
  });

  test('places alone once a question was not answered that was asked after the store had its time', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1', { awayMs: 300 });
    cluster.begin(g1);
    const since = cluster.moment.mono;
    g1.doubtStore(cluster.moment, { since });
    // Given up late, but asked while the store had a moment left.
    cluster.now += 500;
    g1.failed(cluster.moment, { since: since + 299 });
    expect(g1.placesAlone).toBe(false);
    g1.failed(cluster.moment, { since: since + 300 });
    expect(g1.placesAlone).toBe(true);
  });

  test('blames itself where its timers are late, but not for longer than a lease', () => {
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

  test('places no agent alone once the store has answered and others may claim at it, until it is silent again', () => {
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
    g1.accept(request, cluster.viewStore.sync(request, cluster.life, cluster.now), cluster.moment);
    expect(ways()).toEqual(['degraded', 'wait']);
    failBesideOther();
    expect(ways()).toEqual(['degraded', 'degraded']);
  });

  test('acts on its lease, then goes on alone and skips what it finds lost', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    fail(cluster, g1, 500);
    expect([cluster.mode(g1), g1.placesAlone]).toEqual(['leased', true]);
    fail(cluster, g1, LEASE);
    expect([cluster.mode(g1), cluster.target(g1)]).toEqual(['degraded', 'a']);
    g1.vote(says('down'));
    expect(cluster.target(g1)).toBe('b');
    // When the store is back, what is agreed counts.
    cluster.now += 10_000;
    g1.vote(says('up'));
    cluster.pass(JOIN, g1);
    expect([cluster.mode(g1), cluster.target(g1)]).toEqual(['leased', 'a']);
  });

  test('that lost its lease first goes on alone only when it has been without the store for as long as a lease', () => {
    const { cluster, g1, g2 } = twoGateways();
    // g2 stands still; the others go on to another view.
    g1.vote(says('down'));
    cluster.pass(LEASE + 1, g1);
    expect(cluster.target(g1)).toBe('b');
    fail(cluster, g2, LEASE - 200);
    expect([cluster.mode(g2), cluster.target(g2)]).toEqual(['waiting', undefined]);
    fail(cluster, g2, 200);
    expect(cluster.mode(g2)).toBe('degraded');
  });

  test('that stood still while the store was away looks anew whether it still is', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    fail(cluster, g1, LEASE + 500);
    expect(cluster.mode(g1)).toBe('degraded');
    g1.dropLease();
    fail(cluster, g1, 1_000);
    expect(cluster.mode(g1)).toBe('waiting');
  });

  test('that is told to refuse does nothing after its lease', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1', { onStoreLoss: 'refuse' });
    cluster.begin(g1);
    fail(cluster, g1, LEASE);
    expect([cluster.mode(g1), cluster.target(g1), g1.placesAlone]).toEqual(['waiting', undefined, false]);
  });

  test('does not take one lost message for an outage, nor a pause of its own', () => {
    const cluster = new Cluster();
    const g1 = cluster.replica('g1');
    cluster.begin(g1);
    cluster.now += 60_000;
    g1.failed(cluster.moment);
    expect([g1.isAway, cluster.mode(g1)]).toEqual([false, 'waiting']);
  });
});

test('an instance that others have configured is nowhere to send to, and moves nobody', () => {
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

test('gateways of different configurations make views by the rules that they agreed on', () => {
  const cluster = new Cluster();
  const [any, all] = [
    cluster.replica('any', { rules: { ...RULES, quorum: 'any' } }),
    cluster.replica('all', { rules: { ...RULES, quorum: 'all' } }),
  ];
  cluster.begin(any, all);
  const rules = { quorum: 'any' as const, quarantines: false, countsLives: false };
  const policy = { ...any.lastSync.policy, version: 1, rules };
  cluster.viewStore.commitPolicy({ base: 0, policy, events: [] }, cluster.life, cluster.now);
  any.vote(says('down'));
  cluster.settle(any, all);
  const { epoch, instances } = any.agreed;
  expect(instances['a']?.health).toBe('down');
  cluster.settle(any, all);
  expect([any.agreed.epoch, all.agreed.epoch]).toEqual([epoch, epoch]);
});

test('a gateway that has abstained for a lease is not asked for its vote any more, but for its acknowledgement', () => {
  const { cluster, g1, g2 } = twoGateways();
  g2.vote(undefined);
  g1.vote(says('down'));
  cluster.pass(LEASE - JOIN, g1, g2);
  expect(g1.agreed.active).toBe('a');
  expect([...g1.cutOff]).toEqual([]);

  cluster.pass(2 * JOIN, g1, g2);

  expect([g1.agreed.active, g2.agreed.active]).toEqual(['b', 'b']);
  expect([cluster.target(g1), cluster.target(g2)]).toEqual(['b', 'b']);
});

describe('an instance that one replica alone cannot reach', () => {
  test('is cut off for it after a while, moves nobody, and takes none of its new agents', () => {
    const cluster = new Cluster();
    const replicas = ['g1', 'g2', 'g3'].map((id) => cluster.replica(id));
    const [g1, g2] = replicas as [Replica, Replica];
    cluster.begin(...replicas);
    g1.vote(says('down'));
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

test('a policy is written by compare-and-set on its version, and not while one may be missing', () => {
  const cluster = new Cluster();
  const { viewStore, life } = cluster;
  const policy = { ...viewStore.state.policy, version: 1 };
  const decree = { base: 0, policy, events: [] };
  expect(viewStore.commitPolicy(decree, life, cluster.now)).toBe(false);
  cluster.begin(cluster.replica('g1'));
  expect(viewStore.commitPolicy(decree, 'another', cluster.now)).toBe(false);
  expect(viewStore.commitPolicy(decree, life, cluster.now)).toBe(true);
  expect(viewStore.commitPolicy(decree, life, cluster.now)).toBe(false);
  expect(viewStore.state.policy.version).toBe(1);
});

describe('a clock of the store that is set', () => {
  test('forward, ends no registration whose lease may hold', () => {
    const { cluster, g1, g2 } = twoGateways();
    for (const replica of [g1, g2]) replica.vote(says('down'));
    const ahead = 60_000;
    // The replicas' own clocks go on as before.
    const sync = (replica: Replica): SyncReply => {
      const request = replica.request(cluster.moment);
      const reply = cluster.viewStore.sync(request, cluster.life, cluster.now + ahead);
      replica.accept(request, reply, cluster.moment);
      return reply;
    };
    // It hears one of them again and again, and waits for the other.
    for (let s = 0; s < 3; s += 1) {
      expect(sync(g1)).toMatchObject({ open: false, granted: true, replicas: 2, fencingToken: '' });
      cluster.now += 10;
    }
    const view = { ...g1.agreed, epoch: g1.agreed.epoch + 1, id: 'next' };
    const proposal = { replica: 'g1', base: g1.agreed.id, view, events: [] };
    expect(cluster.viewStore.propose(proposal, cluster.life, cluster.now + ahead)).toBe(false);
    expect([g1, g2].map((replica) => cluster.target(replica))).toEqual(['a', 'a']);
    sync(g2);
    expect(sync(g1)).toMatchObject({ open: true, granted: true });
  });

  test('back, makes nobody wait for the time to come again', () => {
    const { cluster, g1, g2 } = twoGateways();
    cluster.now -= 3_600_000;
    cluster.settle(g1, g2);
    expect(cluster.sync(g1)).toMatchObject({ open: true, granted: true, replicas: 2 });
    cluster.viewStore.leave('g2');
    g1.vote(says('down'));
    cluster.settle(g1);
    expect(g1.agreed.active).toBe('b');
  });
});

describe('a ledger that was emptied', () => {
  /** Another replica holds a lease of which nothing is known any more; a newcomer is all that there is. */
  const emptied = (): [Cluster, Replica] => {
    const cluster = new Cluster();
    const newcomer = cluster.replica('g1');
    cluster.sync(newcomer);
    return [cluster, newcomer];
  };

  test('does not take a newcomer for all there were when its clock is set', () => {
    const [cluster, newcomer] = emptied();
    cluster.now += LEASE / 2 + 1;
    cluster.sync(newcomer);
    expect(cluster.sync(newcomer)).toMatchObject({ open: false, granted: false });
    cluster.pass(LEASE, newcomer);
    expect(cluster.sync(newcomer)).toMatchObject({ open: true, granted: true });
  });

  test('does not take a newcomer for all there were when one more life begins', () => {
    const [cluster, newcomer] = emptied();
    cluster.life = 'L2';
    cluster.sync(newcomer);
    expect(cluster.sync(newcomer)).toMatchObject({ open: false, granted: false });
  });
});

test('a ledger waits for a live replica that has much to write back, but not for ever', () => {
  const cluster = new Cluster();
  const [g1, g2] = [cluster.replica('g1'), cluster.replica('g2')];
  cluster.begin(g1, g2);
  cluster.life = 'L2';
  const sync = (replica: Replica): SyncReply => {
    const request = replica.request(cluster.moment);
    const reply = cluster.viewStore.sync(request, cluster.life, cluster.now);
    replica.accept(request, reply, cluster.moment);
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
