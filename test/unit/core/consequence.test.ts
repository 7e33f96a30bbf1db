import { describe, expect, test } from 'vitest';
import type { WeighedAct } from '../../../src/core/consequence.ts';
import { consequenceOf } from '../../../src/core/consequence.ts';
import type { InstanceStatus, PoolStatus } from '../../../src/core/gateway-status.ts';
import { anInstanceStatus, aPoolStatus } from '../../support/instance-status.ts';

const TAKES = { weightShare: 0.5 };
const a = (given: Partial<InstanceStatus> = {}): InstanceStatus =>
  anInstanceStatus({ id: 'a', boundAgents: 12, ...TAKES, ...given });
const b = (given: Partial<InstanceStatus> = {}): InstanceStatus =>
  anInstanceStatus({ id: 'b', priority: 2, boundAgents: 1, ...TAKES, ...given });

const sticky = (...instances: readonly InstanceStatus[]): PoolStatus => aPoolStatus({ instances });
const failover = (active: string, ...instances: readonly InstanceStatus[]): PoolStatus =>
  aPoolStatus({
    mode: 'failover',
    instances,
    active: active === '' ? null : { instance: active, since: '2026-01-01T00:00:00Z' },
  });

type Case = readonly [act: WeighedAct, pool: PoolStatus, id: string, agents: number | null, text: string];

const NONE_TAKES = { weightShare: 0 };

describe('in a sticky pool', () => {
  test.each<Case>([
    ['disable', sticky(a(), b()), 'a', 12, '12 agents must log on again'],
    ['disable', sticky(a(), b()), 'b', 1, '1 agent must log on again'],
    ['disable', sticky(a({ boundAgents: 0 }), b()), 'a', 0, 'no agent is bound to a'],
    [
      'disable',
      sticky(a(), b(NONE_TAKES)),
      'a',
      12,
      'no other instance takes agents: 12 agents of a, and all new ones, cannot work until one does',
    ],
    [
      'drain',
      sticky(a(), b()),
      'a',
      0,
      '12 agents stay at a until their bindings end; at the deadline, if there is one, those left must log on again elsewhere',
    ],
    [
      'drain',
      sticky(a(NONE_TAKES), b(NONE_TAKES)),
      'b',
      0,
      '1 agent stays at b until the binding ends; at the deadline, if there is one, those left must log on again elsewhere. No other instance takes new agents',
    ],
    [
      'drain',
      sticky(a({ boundAgents: 0 }), b()),
      'a',
      0,
      'no agent is bound to a, so it is disabled at once',
    ],
    ['enable', sticky(a(), b()), 'a', 0, 'nothing: a is enabled'],
    ['enable', sticky(a({ admin: 'draining' }), b()), 'a', 0, 'a takes new agents again'],
    [
      'enable',
      sticky(a({ admin: 'disabled', health: 'down' })),
      'a',
      0,
      'a takes new agents again once it is up; it is down',
    ],
    ['release', sticky(a()), 'a', 0, 'nothing: a is not in quarantine'],
    [
      'release',
      sticky(a({ quarantined: true })),
      'a',
      0,
      'a takes new agents again; if it still holds agents that others serve now, both serve them',
    ],
    ['activate', sticky(a(), b()), 'a', 0, 'pool ici is sticky: it has no active instance'],
    ['disable', sticky(a()), 'z', 0, 'pool ici has no instance z'],
  ])('%s', (act, pool, id, agents, text) => {
    expect(consequenceOf(act, pool, id)).toEqual({ agents, text });
  });
});

describe('in a failover pool', () => {
  const ALL = 'all agents of the pool must log on again';
  test.each<Case>([
    ['activate', failover('a', a(), b()), 'b', null, ALL],
    ['activate', failover('a', a(), b()), 'a', 0, 'nothing: a is already the active instance'],
    ['activate', failover('', a(), b()), 'b', 0, 'b serves all agents'],
    ['failback', failover('b', a(), b()), 'b', null, ALL],
    ['failback', failover('a', a(), b()), 'b', 0, 'nothing: a is already the active instance'],
    [
      'failback',
      failover('b', a({ health: 'down' }), b()),
      'a',
      0,
      'nothing: b is already the active instance',
    ],
    ['failback', failover('b', a({ admin: 'disabled' })), 'a', 0, 'nothing: no instance is up and enabled'],
    ['disable', failover('a', a(), b()), 'a', null, ALL],
    ['disable', failover('a', a(), b()), 'b', 0, 'no agent is affected: b is not the active instance'],
    [
      'disable',
      failover('a', a(), b({ health: 'down' })),
      'a',
      null,
      'no other instance can take over: no agent of the pool can work until one can',
    ],
    [
      'drain',
      failover('a', a(), b()),
      'a',
      0,
      'the agents stay at a until the pool is idle, or until the deadline: then all of them must log on again elsewhere',
    ],
    ['enable', failover('a', a(), b({ admin: 'disabled' })), 'b', 0, 'b may become active again'],
  ])('%s', (act, pool, id, agents, text) => {
    expect(consequenceOf(act, pool, id)).toEqual({ agents, text });
  });
});
