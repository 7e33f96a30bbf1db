import { describe, expect, test } from 'vitest';
import type { Route } from '../../../src/core/relay.ts';
import { judgeRelayed, nextRoute } from '../../../src/core/relay.ts';
import { checkTarget } from '../../../src/core/target.ts';
import type { HealthReport } from '../../../src/core/view/health-report.ts';
import { NO_LEASE } from '../../../src/core/view/lease.ts';
import type { Replica } from '../../../src/core/view/replica.ts';
import type { RoutingState } from '../../../src/core/view/routing-state.ts';
import { Agreement, UP } from '../../support/agreement.ts';
import { anInstance, aView } from '../../support/instances.ts';

const VIEW = { ...aView(anInstance({ id: 'a' }), anInstance({ id: 'b' })), epoch: 7 };
const A = new Set(['a']);
const RELAYS = new Map([['a', ['p1:1', 'p2:1']]]);
const P1 = { peer: 'p1:1' };
const P2 = { peer: 'p2:1' };

function routingState(given: Partial<RoutingState> = {}): RoutingState {
  return {
    view: VIEW,
    before: undefined,
    isBlocked: false,
    fencingToken: 'f',
    unreachable: new Set(),
    candidates: VIEW.assignable,
    cutOff: new Set(),
    failing: new Set(),
    leaseEnd: NO_LEASE,
    unconfigured: new Set(),
    placesAlone: false,
    hearsStore: false,
    placesAlike: false,
    modeAt: () => 'leased',
    ...given,
  };
}

describe('the route of an attempt', () => {
  /** All routes of a request that no route can take, in order. */
  function routes(given: Partial<RoutingState>, chance = 0): Route[] {
    const failed: Route[] = [];
    for (;;) {
      const route = nextRoute(routingState(given), 'a', failed, chance);
      if (route === undefined) return failed;
      failed.push(route);
    }
  }

  test('is direct and no other, if no peer can relay', () => {
    expect(routes({})).toEqual(['direct']);
    expect(routes({ failing: A })).toEqual(['direct']);
    expect(routes({ relays: new Map([['b', ['p1:1']]]) })).toEqual(['direct']);
  });

  test('is direct, and then leads through each peer that reports the instance up', () => {
    expect(routes({ relays: RELAYS })).toEqual(['direct', P1, P2]);
  });

  test('leads through the peers first while the own probes of the instance fail', () => {
    expect(routes({ relays: RELAYS, failing: A })).toEqual([P1, P2, 'direct']);
  });

  test('leads through the peers in any order, so that each gets its share', () => {
    const relays = new Map([['a', ['p1:1', 'p2:1', 'p3:1']]]);
    const shares = new Map<string, number>();
    for (let i = 0; i < 300; i += 1) {
      const [first, ...others] = routes({ relays, failing: A }, i / 300) as { peer: string }[];
      shares.set(first?.peer ?? '', (shares.get(first?.peer ?? '') ?? 0) + 1);
      // And none twice.
      expect(new Set([first, ...others].map((route) => route?.peer)).size).toBe(4);
    }
    expect([...shares]).toEqual([
      ['p1:1', 100],
      ['p2:1', 100],
      ['p3:1', 100],
    ]);
    expect(routes({ relays: RELAYS, failing: A }, 0.999)).toEqual([P2, P1, 'direct']);
  });
});

test('a gateway that places agents without the store hands nothing on: others may place them elsewhere', () => {
  const agreement = new Agreement({ instances: ['a'], replicas: 2 });
  const [replica, peer] = agreement.replicas as [Replica, Replica];
  const says = (health: 'up' | 'down', relayAt: string): HealthReport => ({
    verdicts: { a: { ...UP, health } },
    settled: true,
    idle: false,
    relayAt,
  });
  replica.setReport(says('down', 'own:1'));
  peer.setReport(says('up', 'p1:1'));
  agreement.agree();
  expect([...(replica.relays ?? [])]).toEqual([['a', ['p1:1']]]);

  agreement.isAway = true;
  agreement.agree();
  const { mono, wall } = { mono: performance.now(), wall: Date.now() };
  expect([replica.placesAlone, replica.modeAt(mono, wall)]).toEqual([true, 'leased']);
  expect(nextRoute(replica, 'a', ['direct'], 0)).toBeUndefined();

  agreement.isAway = false;
  agreement.agree();
  expect([...(replica.relays ?? [])]).toEqual([['a', ['p1:1']]]);
});

describe('a gateway that is cut off from an instance', () => {
  const target = { instance: 'a', incarnation: '' };

  test('still routes its agents there if a peer can relay', () => {
    expect(checkTarget(routingState({ cutOff: A }), target, 0, 0)).toBe('cut-off');
    expect(checkTarget(routingState({ cutOff: A, relays: RELAYS }), target, 0, 0)).toBe('forward');
  });

  test('does not, if its configuration lacks the instance', () => {
    expect(checkTarget(routingState({ unconfigured: A, relays: RELAYS }), target, 0, 0)).toBe('cut-off');
  });
});

describe('a gateway sends a request of a peer', () => {
  const judged = (given: Partial<RoutingState>, viewEpoch = 7): boolean =>
    judgeRelayed(routingState(given), { target: { instance: 'a', incarnation: '' }, viewEpoch }, 0, 0);

  test('by a view that is at least as new as that of the peer', () => {
    expect([6, 7, 8].map((epoch) => judged({}, epoch))).toEqual([true, true, false]);
  });

  test('only with a lease', () => {
    for (const mode of ['waiting', 'degraded'] as const) expect(judged({ modeAt: () => mode })).toBe(false);
  });

  test('only if its own probes reach the instance, so that none is handed on', () => {
    expect([judged({ failing: A }), judged({ unreachable: A, cutOff: A, relays: RELAYS })]).toEqual([
      false,
      false,
    ]);
  });

  test('only if its view lets the instance serve the agent', () => {
    const lost = { ...aView(anInstance({ id: 'a', health: 'down' }), anInstance({ id: 'b' })), epoch: 7 };
    expect(judged({ view: lost })).toBe(false);
    // The view before allows it, and not all gateways have adopted the new one.
    expect(judged({ view: lost, before: VIEW })).toBe(false);
    expect(judged({ view: VIEW, before: lost })).toBe(false);
    expect(judged({ isBlocked: true })).toBe(false);
  });
});
