import { describe, expect, test } from 'vitest';
import { isLost, mustGiveUp } from '../../../src/core/give-up.ts';
import type { InstanceState } from '../../../src/core/instance.ts';
import type { Target } from '../../../src/core/target.ts';
import { NOWHERE } from '../../../src/core/view/agreed-view.ts';
import { NO_LEASE } from '../../../src/core/view/lease.ts';
import type { Mode, RoutingState } from '../../../src/core/view/routing-state.ts';
import type { View } from '../../../src/core/view/view.ts';
import { aFailoverView, anInstance, aView } from '../../support/instances.ts';

/** Which requests end on which change: one test for each rule. Each request was sent to `a`. */

interface Given {
  readonly mode?: Mode;
  /** Instances whose last probe by this gateway failed. */
  readonly failing?: readonly string[];
  readonly cutOff?: readonly string[];
  readonly way?: Partial<Target>;
}

const a = (given: Partial<InstanceState> = {}): InstanceState => anInstance({ id: 'a', ...given });
const b = (given: Partial<InstanceState> = {}): InstanceState => anInstance({ id: 'b', ...given });

function routingState(view: View, { mode = 'leased', failing = [], cutOff = [] }: Given): RoutingState {
  return {
    view,
    before: undefined,
    isBlocked: false,
    fencingToken: 'f',
    unreachable: new Set(),
    candidates: view.assignable,
    cutOff: new Set(cutOff),
    failing: new Set(failing),
    leaseEnd: NO_LEASE,
    unconfigured: new Set(),
    placesAlone: mode === 'degraded',
    hearsStore: false,
    placesAlike: false,
    modeAt: () => mode,
  };
}

function ends(view: View, given: Given = {}): boolean {
  return mustGiveUp(routingState(view, given), { instance: 'a', incarnation: '', ...given.way }, 0, 0);
}

const X = { root: { kind: 'user', value: ':x' } } as const;
const Y = { root: { kind: 'user', value: ':y' } } as const;
const FAILING: Given = { failing: ['a'] };
const DOWN = { health: 'down' } as const;

describe('an instance that is down by the view', () => {
  test('sticky: ends requests where another instance may take its agents', () => {
    expect(ends(aView(a(DOWN), b()))).toBe(true);
  });

  test.each([
    ['is down', DOWN],
    ['is draining', { admin: 'draining' }],
    ['is disabled', { admin: 'disabled' }],
    ['has no weight', { weight: 0 }],
  ] as const)('sticky: ends none where the other one %s, whatever the own probes say', (_why, other) => {
    expect([ends(aView(a(DOWN), b(other))), ends(aView(a(DOWN), b(other)), FAILING)]).toEqual([false, false]);
  });

  test('sticky: ends those of an agent who is being moved to an instance that takes no other agents', () => {
    const view = { ...aView(a(DOWN), b({ weight: 0 })), moving: new Map([['u:x', 'b']]) };
    expect([ends(view, { way: X }), ends(view, { way: Y })]).toEqual([true, false]);
  });

  test('sticky: ends none of an agent whose binding an operator is ending, while no other instance can take over', () => {
    const moving = new Map([['u:x', NOWHERE]]);
    expect(ends({ ...aView(a(DOWN), b(DOWN)), moving }, { way: X })).toBe(false);
    expect(ends({ ...aView(a(DOWN), b()), moving }, { way: X })).toBe(true);
  });

  test('failover: ends requests once another one is active', () => {
    expect(ends(aFailoverView('b', a(DOWN), b()))).toBe(true);
  });

  test('failover: ends none while no other instance can take over', () => {
    expect(ends(aFailoverView('a', a(DOWN), b(DOWN)), FAILING)).toBe(false);
    expect(ends(aFailoverView('', a(DOWN), b(DOWN)), FAILING)).toBe(false);
  });
});

describe('the end of the gateway’s own lease', () => {
  test.each(['waiting', 'degraded'] as const)(
    'ends requests at an instance whose last probe failed (%s)',
    (mode) => {
      expect(ends(aView(a(), b()), { mode, failing: ['a'] })).toBe(true);
    },
  );

  test('ends none at an instance whose last probe passed, or that is the only one', () => {
    expect(ends(aView(a(), b()), { mode: 'waiting', failing: ['b'] })).toBe(false);
    expect(ends(aView(a()), { mode: 'waiting', failing: ['a'] })).toBe(false);
  });

  test('is required: with a lease one failed probe ends none', () => {
    expect(ends(aView(a(), b()), FAILING)).toBe(false);
  });
});

test('an instance that only this gateway cannot reach ends requests, although it is up in the view', () => {
  expect(ends(aView(a(), b()), { cutOff: ['a'] })).toBe(true);
  expect(ends(aView(a(), b()), { cutOff: ['b'] })).toBe(false);
});

describe('an instance that is up and is to serve no more', () => {
  const moving = { ...aView(a(), b()), moving: new Map([['u:x', 'b']]) };
  test.each([
    ['another one is activated, or failed back to', aFailoverView('b', a(), b()), {}],
    ['it is disabled', aView(a({ admin: 'disabled' }), b()), {}],
    ['it is removed', aView(b()), {}],
    ['the agent is moved', moving, X],
    ['it began another life', aView(a({ incarnation: 'two' }), b()), { incarnation: 'one' }],
  ])('lets requests finish, unless the last probe failed: %s', (_why, view, way) => {
    expect([ends(view, { way }), ends(view, { way, ...FAILING })]).toEqual([false, true]);
  });

  test('lets requests finish while it drains: its agents stay', () => {
    expect(ends(aView(a({ admin: 'draining' }), b()), FAILING)).toBe(false);
  });

  test('lets requests of other agents finish while one is moved', () => {
    expect(ends(moving, { way: Y, ...FAILING })).toBe(false);
  });
});

test('idle connections are closed to an instance that is down, cut off, or fails its probe after the lease', () => {
  const lost = (view: View, given: Given = {}): boolean => isLost(routingState(view, given), 'a', 0, 0);
  expect([lost(aView(a(DOWN))), lost(aView(a()), { cutOff: ['a'] })]).toEqual([true, true]);
  expect(lost(aView(a()), { mode: 'waiting', failing: ['a'] })).toBe(true);
  expect([lost(aView(a()), FAILING), lost(aView(a()), { mode: 'waiting' })]).toEqual([false, false]);
});
