import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BindingCache } from '../../../src/affinity/binding-cache.ts';
import { Bindings } from '../../../src/affinity/bindings.ts';
import { rendezvous } from '../../../src/core/balancers.ts';
import type { Coordinator } from '../../../src/core/ports.ts';
import type { Target } from '../../../src/core/target.ts';
import { checkTarget } from '../../../src/core/target.ts';
import { withMove } from '../../../src/core/view/policy-changes.ts';
import type { Replica } from '../../../src/core/view/replica.ts';
import type { Unanswered } from '../../../src/core/view/store-outage.ts';
import type { PoolMode } from '../../../src/core/view/view.ts';
import type { Pool, SessionLostPolicy } from '../../../src/proxy/pools.ts';
import type { RequestContext } from '../../../src/proxy/request-context.ts';
import { TargetFinder, waitedInVain } from '../../../src/proxy/target-finder.ts';
import { Agreement, DOWN, UP } from '../../support/agreement.ts';
import { FencedStore } from '../../support/fenced-store.ts';

const ALL_UP = { a: UP, b: UP, c: UP };

let agreement: Agreement;
let store: FencedStore;
/** What the balancer proposes. */
let preferred: string;

/** One gateway: a replica, its bindings and its finder of targets. */
class Side {
  readonly replica: Replica;
  readonly pool: Pool;
  readonly targets: TargetFinder;
  renewals = 0;

  constructor(number: number, mode: PoolMode, answer: SessionLostPolicy['answer']) {
    this.replica = agreement.replicas[number] as Replica;
    this.targets = new TargetFinder({
      suspect: () => {},
      renew: async () => {
        this.renewals += 1;
        agreement.sync(this.replica);
      },
      storeFailed: async (_pool: string, claim: Unanswered) => {
        this.replica.doubtStore({ mono: performance.now(), wall: Date.now() }, claim);
        agreement.sync(this.replica);
      },
    } as Partial<Coordinator> as Coordinator);
    this.pool = {
      name: 'ici',
      mode,
      bindsAgents: mode === 'sticky' || answer === 'fault',
      anonymous: 'any',
      sessionLost: { answer, logonOperations: [] },
      balancer: (candidates) => candidates.find(({ id }) => id === preferred) ?? candidates[0],
      anonymousBalancer: (candidates) => candidates[0],
      bindings: new Bindings({
        store,
        cache: new BindingCache({ maxEntries: 100, idleLifetimeMs: 3_600_000 }),
        sessionsAreProvisional: false,
        epoch: () => this.replica.agreed.epoch,
        events: { onConflict: () => {}, onShared: () => {}, onRebound: () => {}, onOperation: () => {} },
      }),
      routingState: this.replica,
    } as Partial<Pool> as Pool;
  }

  async route(context: RequestContext): Promise<Target> {
    const route = await this.targets.find(this.pool, context);
    if ('wait' in route) throw new Error(`waits for ${route.wait}`);
    return route;
  }

  /** The instance to which the request of an agent goes. */
  async to(user: string): Promise<string> {
    return (await this.route(request(user))).instance;
  }

  async waitsFor(user: string | undefined): Promise<string> {
    const route = await this.targets.find(this.pool, request(user));
    if (!('wait' in route)) throw new Error(`goes to ${route.instance}`);
    return route.wait;
  }

  mayStillSend(way: Target): boolean {
    return checkTarget(this.replica, way, performance.now(), Date.now()) === 'forward';
  }
}

const request = (user?: string): RequestContext =>
  ({
    request: { id: 'r' },
    user,
    session: undefined,
    address: undefined,
    userIsFound: false,
    sessionIsFound: false,
    decision: 'refused',
    epoch: 0,
    sessionLost: false,
  }) as Partial<RequestContext> as RequestContext;

function begin(
  options: {
    mode?: PoolMode;
    replicas?: number;
    onStoreLoss?: 'continue' | 'refuse';
    cutOffMs?: number;
    answer?: SessionLostPolicy['answer'];
  } = {},
): Side[] {
  agreement = new Agreement({ instances: ['a', 'b', 'c'], ...options });
  store = new FencedStore(() => agreement.fencingToken);
  return agreement.replicas.map((_, i) => new Side(i, options.mode ?? 'sticky', options.answer ?? 'pass'));
}

beforeEach(() => {
  preferred = 'a';
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** As when a minute has passed. */
function leaseEnds(): void {
  const { now } = performance;
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 60_000);
}

describe('an agent of a sticky pool', () => {
  test('is bound once, and then goes there without anybody being asked', async () => {
    const [side] = begin() as [Side];
    const first = request('U');
    expect(await side.route(first)).toMatchObject({ instance: 'a' });
    expect(first.decision).toBe('claimed');
    preferred = 'b';
    const second = request('U');
    expect(await side.route(second)).toMatchObject({ instance: 'a' });
    expect(second.decision).toBe('bound');
    expect(store.asked).toEqual(['claim']);
    expect(side.renewals).toBe(0);
  });

  test('is moved when the view says that his instance is lost, and that is remembered of the request', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    preferred = 'b';
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(context).toMatchObject({ decision: 'rebound', sessionLost: true });
    const next = request('U');
    expect(await side.route(next)).toMatchObject({ instance: 'b' });
    expect(next).toMatchObject({ decision: 'bound', sessionLost: false });
  });

  test('is moved when his instance has begun another life', async () => {
    const [side] = begin() as [Side];
    agreement.agreeOn({ ...ALL_UP, a: { ...UP, incarnation: '1' } });
    expect(await side.route(request('U'))).toMatchObject({ instance: 'a', incarnation: '1' });
    agreement.agreeOn({ ...ALL_UP, a: { ...UP, incarnation: '2' } });
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'a', incarnation: '2' });
    expect(context.sessionLost).toBe(true);
  });

  test('moves on when the view changes while he moves: nobody would wake the request for that again', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    preferred = 'b';
    // The claim that learns the binding comes first.
    store.meanwhile = [() => {}, () => agreement.agreeOn({ a: DOWN, b: DOWN, c: UP })];
    expect(await side.to('U')).toBe('c');
  });

  test('is asked for again after his instance was away: he may have been moved by another gateway', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    await one.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    preferred = 'b';
    expect(await other.to('U')).toBe('b');
    agreement.agreeOn(ALL_UP);
    expect(await one.to('U')).toBe('b');
  });

  test('does not go where he was bound when the request was routed, if he may have been moved since', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    const way = await one.route(request('U'));
    expect(one.mayStillSend(way)).toBe(true);
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    preferred = 'b';
    await other.to('U');
    agreement.agreeOn(ALL_UP);
    expect(one.mayStillSend(way)).toBe(false);
  });

  test('waits where gateways pull him to and fro', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    preferred = 'b';
    const pull = (): void => {
      const held = [...store.bindings.values()][0];
      if (held !== undefined) store.hold(held.root, { instance: 'a', incarnation: '' }, held.generation + 1);
    };
    store.meanwhile = Array.from({ length: 100 }, () => pull);
    expect(await side.waitsFor('U')).toBe('view');
    expect(store.asked.length).toBeLessThan(20);
  });

  test('waits while nobody can take him', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ a: DOWN, b: DOWN, c: DOWN });
    expect(await side.waitsFor('U')).toBe('no-instance');
    expect(await side.waitsFor('NEW')).toBe('no-instance');
    expect(await side.waitsFor(undefined)).toBe('no-instance');
  });

  test('goes to the one instance that an operator moves him to, as soon as the view says so', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    await side.to('OTHER');
    agreement.commitPolicy((policy) => withMove(policy, { key: 'uU', from: 'a', to: 'c', until: 1e15 }, 0));
    const way = await side.route(request('U'));
    expect(way.instance).toBe('c');
    expect(side.mayStillSend(way)).toBe(true);
    expect(side.mayStillSend({ ...way, instance: 'a' })).toBe(false);
    expect(await side.to('OTHER')).toBe('a');
  });
});

describe('the lease', () => {
  test('is asked for once it has ended, and the known agent goes on without the store', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    side.replica.dropLease();
    expect(await side.to('U')).toBe('a');
    expect(side.renewals).toBe(1);
    expect(store.asked).toEqual(['claim']);
  });

  test('is checked again before the first byte', async () => {
    const [side] = begin() as [Side];
    const way = await side.route(request('U'));
    const unbound = await side.route(request());
    side.replica.dropLease();
    expect(side.mayStillSend(way)).toBe(false);
    expect(side.mayStillSend(unbound)).toBe(false);
  });

  test.each(['sticky', 'failover'] as const)(
    'cannot be renewed: everything of a %s pool waits, and is told why',
    async (mode) => {
      const [side] = begin({ mode, onStoreLoss: 'refuse' }) as [Side];
      await side.to('U');
      agreement.isAway = true;
      store.isAway = true;
      side.replica.dropLease();
      for (const user of ['U', 'NEW', undefined]) expect(await side.waitsFor(user)).toBe('lease');
      const route = await side.targets.find(side.pool, request('U'));
      expect('wait' in route && waitedInVain(route, side.replica)).toBe('GW_AFFINITY_UNAVAILABLE');
    },
  );
});

describe('a view that is not in effect yet', () => {
  test('holds those whom it moves, and lets all others go on', async () => {
    const [side, other] = begin({ replicas: 2 }) as [Side, Side];
    await side.to('AT-A');
    preferred = 'b';
    await side.to('AT-B');
    const wayToA = await side.route(request('AT-A'));
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.sees(other.replica, { ...ALL_UP, a: DOWN });
    // The first tells and hears; the second proposes, and the first has not heard of it when it is asked.
    agreement.sync(side.replica);
    agreement.sync(other.replica);
    expect(side.mayStillSend(wayToA)).toBe(true);
    expect(await other.waitsFor('AT-A')).toBe('view');
    expect(await side.to('AT-B')).toBe('b');

    agreement.sync(side.replica);
    expect(side.replica.before).toBeDefined();
    expect(side.mayStillSend(wayToA)).toBe(false);
    expect(await side.waitsFor('AT-A')).toBe('view');
    expect(await side.waitsFor('NEW')).toBe('view');
    expect(await side.to('AT-B')).toBe('b');

    agreement.agree();
    expect(await side.to('AT-A')).toBe('b');
  });

  test('makes nobody active in a failover pool: not the one that was, and not yet the one that will be', async () => {
    const [side, other] = begin({ mode: 'failover', replicas: 2 }) as [Side, Side];
    for (const { replica } of [side, other]) agreement.sees(replica, { ...ALL_UP, a: DOWN });
    agreement.sync(side.replica);
    agreement.sync(other.replica);
    // The first has not heard of it, and could still send to the one that was.
    expect(await side.to('U')).toBe('a');
    expect(other.replica.view.active).toBe('b');
    expect(await other.waitsFor('U')).toBe('view');
    agreement.sync(side.replica);
    expect(await side.waitsFor('U')).toBe('view');
    agreement.agree();
    for (const one of [side, other]) expect(await one.to('U')).toBe('b');
  });

  test('makes a claim stale, which is then made on it', async () => {
    const [side] = begin() as [Side];
    store.meanwhile = [() => agreement.agreeOn({ ...ALL_UP, a: DOWN })];
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(store.asked).toEqual(['claim', 'claim']);
    expect(context).toMatchObject({ decision: 'claimed', sessionLost: false });
  });

  test('that follows another without end is waited for', async () => {
    const [side] = begin() as [Side];
    let up = true;
    store.meanwhile = Array.from({ length: 100 }, () => () => {
      up = !up;
      agreement.agreeOn({ ...ALL_UP, c: up ? UP : DOWN });
    });
    expect(await side.waitsFor('U')).toBe('view');
    expect(store.asked.length).toBeLessThan(10);
  });
});

describe('an instance that this gateway alone cannot reach', () => {
  test('keeps its agents: they are told, and nobody is moved', async () => {
    const [side, ...peers] = begin({ replicas: 3, cutOffMs: 0 }) as [Side, Side, Side];
    const before = await side.route(request('U'));
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    await expect(side.to('U')).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    expect(side.mayStillSend(before)).toBe(false);
    for (const peer of peers) expect(await peer.to('U')).toBe('a');
    expect(store.asked).not.toContain('rebind');
  });

  test('is given no new agents from here, nor requests that name nobody', async () => {
    const [side] = begin({ replicas: 3, cutOffMs: 0 }) as [Side];
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    expect(await side.to('NEW')).not.toBe('a');
    expect((await side.route(request())).instance).not.toBe('a');
  });

  test('may be all there are: then the other gateways can place whom this one cannot', async () => {
    const [side] = begin({ replicas: 3, cutOffMs: 0 }) as [Side];
    agreement.sees(side.replica, { a: DOWN, b: DOWN, c: DOWN });
    agreement.agree();
    for (const user of ['NEW', undefined]) {
      await expect(side.route(request(user))).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    }
  });

  test('is the active one of a failover pool: all are told, and it stays active', async () => {
    const [side, peer] = begin({ mode: 'failover', replicas: 3, cutOffMs: 0 }) as [Side, Side];
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    await expect(side.to('U')).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    expect(await peer.to('U')).toBe('a');
  });
});

describe('a store that does not answer', () => {
  /** Until the gateway believes it. */
  const away = (side: Side): void => {
    agreement.isAway = true;
    store.isAway = true;
    for (let i = 0; i < 3; i += 1) agreement.sync(side.replica);
  };

  test('is asked again once the ledger has answered: it was a single failure', async () => {
    const [side] = begin() as [Side];
    store.isAway = true;
    store.meanwhile = [
      () => {},
      () => {
        store.isAway = false;
      },
    ];
    expect(await side.to('U')).toBe('a');
    expect(store.asked).toEqual(['claim', 'claim']);
  });

  test('places nobody by itself as long as its ledger answers: the other gateways go on claiming', async () => {
    const [side] = begin() as [Side];
    store.isAway = true;
    const route = await side.targets.find(side.pool, request('U'));
    expect(route).toMatchObject({ wait: 'store' });
    expect('wait' in route && Number.isFinite(route.againMs)).toBe(true);
    expect(store.asked).toEqual(['claim', 'claim']);
  });

  test('leaves known agents where they are, and unknown ones to a hash that all gateways share', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    await one.to('KNOWN');
    for (const side of [one, other]) away(side);
    for (const ended of [false, true]) {
      if (ended) leaseEnds();
      expect(await one.to('KNOWN')).toBe('a');
      for (const user of ['U1', 'U2', 'U3', 'U4', 'U5', 'U6']) {
        const expected = rendezvous(one.replica.candidates, `u${user}`)?.id;
        for (const side of [one, other, one]) expect(await side.to(user)).toBe(expected);
      }
    }
    const context = request('ONE-MORE');
    await one.route(context);
    expect(context.decision).toBe('storeless');
  });

  test('lets nobody go where he may have been moved from, as long as others may act on their leases', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    await one.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    preferred = 'b';
    await other.to('U');
    agreement.agreeOn(ALL_UP);
    away(one);
    expect(await one.waitsFor('U')).toBe('store');
    leaseEnds();
    expect(await one.to('U')).toBe('a');
  });

  test('does not keep the agents of an instance that this gateway finds lost', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    away(side);
    leaseEnds();
    agreement.sync(side.replica);
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    const context = request('U');
    expect((await side.route(context)).instance).not.toBe('a');
    expect(context).toMatchObject({ decision: 'rebound', sessionLost: true });
  });

  test('places nobody where the pool is told to refuse; known agents are served while the lease holds', async () => {
    const [side] = begin({ onStoreLoss: 'refuse' }) as [Side];
    await side.to('KNOWN');
    away(side);
    expect(await side.to('KNOWN')).toBe('a');
    expect(await side.waitsFor('NEW')).toBe('store');
    leaseEnds();
    expect(await side.waitsFor('KNOWN')).toBe('lease');
  });
});

describe('a failover pool', () => {
  test('sends everybody to the active instance, and asks nobody', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'a', root: undefined });
    expect(context.decision).toBe('bound');
    expect((await side.route(request())).instance).toBe('a');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    expect(await side.to('U')).toBe('b');
    agreement.agreeOn(ALL_UP);
    expect(await side.to('U')).toBe('b');
    expect(store.asked).toEqual([]);
  });

  test('sends nothing on a way that was found before the active instance changed', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    const way = await side.route(request());
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    agreement.agreeOn(ALL_UP);
    expect(side.mayStillSend(way)).toBe(false);
  });

  test('waits while nobody can be active', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    agreement.agreeOn({ a: DOWN, b: DOWN, c: DOWN });
    expect(await side.waitsFor('U')).toBe('no-instance');
  });

  test('binds agents where they are to be told of a failover, and serves who names nobody all the same', async () => {
    const [side] = begin({ mode: 'failover', answer: 'fault' }) as [Side];
    preferred = 'c';
    expect(await side.to('U')).toBe('a');
    expect((await side.route(request())).instance).toBe('a');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(context).toMatchObject({ decision: 'rebound', sessionLost: true });
  });
});
