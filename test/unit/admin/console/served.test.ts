import { describe, expect, test } from 'vitest';
import {
  instanceWord,
  isServed,
  news,
  otherWords,
  stateLevel,
  summaryOf,
  verdictOf,
} from '../../../../src/admin/console/logic/served.ts';
import type { Alarm, GatewayStatus } from '../../../../src/core/gateway-status.ts';
import { aGatewayStatus, anInstanceStatus, aPoolStatus } from '../../../support/instance-status.ts';

const up = anInstanceStatus({ id: 'a', boundAgents: 1_200 });
const down = anInstanceStatus({ id: 'b', health: 'down', boundAgents: 1 });
const disabled = anInstanceStatus({ id: 'c', admin: 'disabled' });
const pool = aPoolStatus({ instances: [up, anInstanceStatus({ id: 'b' })] });

const anAlarm = (given: Partial<Alarm> = {}): Alarm => ({
  id: 'x',
  severity: 'warning',
  pool: null,
  instance: null,
  since: null,
  text: 'something is wrong',
  remedy: 'look',
  runbook: '#x',
  ...given,
});

const verdict = (given: Partial<GatewayStatus>): string => {
  const { level, text } = verdictOf(aGatewayStatus({ pools: [pool], ...given }));
  return `${level}: ${text}`;
};

describe('the answer to "are agents served?"', () => {
  test('is quiet when they are', () => {
    expect(verdict({})).toBe('ok: Agents are served.');
  });

  test('says which pool is not served, and why', () => {
    const lost = aPoolStatus({ name: 'p', instances: [down, disabled] });
    expect(verdict({ pools: [lost] })).toBe('critical: Agents are not served: none of 2 instances is up.');
    expect(verdict({ pools: [pool, lost] })).toBe(
      'critical: Agents of pool p are not served: none of 2 instances is up.',
    );
    expect(verdict({ pools: [aPoolStatus({ instances: [down] })] })).toBe(
      'critical: Agents are not served: b is not up.',
    );
  });

  test('counts in a failover pool the active instance only', () => {
    const instances = [
      { ...down, active: true },
      { ...up, active: false },
    ];
    expect(verdict({ pools: [aPoolStatus({ mode: 'failover', instances })] })).toBe(
      'critical: Agents are not served: no active instance is up; a can take over.',
    );
  });

  test('goes by the state of the gateway', () => {
    expect(verdict({ state: 'Maintenance' })).toMatch(/^warning: .*maintenance page/);
    expect(verdict({ state: 'Stopped' })).toMatch(/^critical: /);
    const unknown = aPoolStatus({ instances: [anInstanceStatus({ health: 'unknown' })] });
    expect(verdict({ state: 'Starting', pools: [unknown] })).toMatch(/^warning: This gateway is starting/);
  });

  test('says what is wrong although they are served', () => {
    expect(verdict({ pools: [aPoolStatus({ instances: [up, down] })] })).toBe(
      'warning: Agents are served, but b of pool ici is down.',
    );
    expect(verdict({ pools: [{ ...pool, standing: 'storeless' }] })).toBe(
      'warning: Agents are served, but the store is away for pool ici.',
    );
    expect(verdict({ pools: [{ ...pool, standing: 'waiting' }] })).toMatch(/^critical: Requests wait/);
    expect(verdict({ alarms: [anAlarm()] })).toBe('warning: Agents are served, with 1 alarm.');
    expect(verdict({ alarms: [anAlarm(), anAlarm({ severity: 'critical' })] })).toBe(
      'critical: Agents are served, with 2 alarms.',
    );
  });

  test('an instance that an operator took out is no trouble', () => {
    const out = { ...down, admin: 'disabled' as const };
    expect(verdict({ pools: [aPoolStatus({ instances: [up, out] })] })).toBe('ok: Agents are served.');
  });
});

test('a draining instance serves its pool', () => {
  expect(isServed(aPoolStatus({ instances: [{ ...up, admin: 'draining' }] }))).toBe(true);
});

test('the summary counts', () => {
  const status = aGatewayStatus({ pools: [aPoolStatus({ instances: [up, down] })] });
  expect(summaryOf(status)).toBe('1 pool, 1 of 2 instances up, 1\u202f201 agents');
});

test.each([
  [{}, 'up', 'ok'],
  [{ health: 'down' }, 'down', 'critical'],
  [{ health: 'unknown' }, 'unknown', 'unknown'],
  [{ admin: 'disabled', health: 'down' }, 'disabled', 'unknown'],
  [{ admin: 'draining' }, 'draining', 'warning'],
  [{ quarantined: true }, 'quarantined', 'warning'],
  [{ unreachableHere: true }, 'not reached here', 'warning'],
  [{ unreachableHere: true, cutOffHere: true }, 'cut off here', 'warning'],
] as const)('an instance with %j is %s', (given, word, level) => {
  expect(instanceWord(anInstanceStatus(given))).toEqual({ word, level });
});

test('a disabled instance that is down and in quarantine is said to be both', () => {
  const patched = anInstanceStatus({ admin: 'disabled', health: 'down', quarantined: true });
  expect(otherWords(patched)).toEqual(['down', 'quarantined']);
  expect(otherWords(anInstanceStatus({ health: 'down', admin: 'draining' }))).toEqual(['draining']);
  expect(otherWords(up)).toEqual([]);
});

test('states of a gateway are good, bad or in between', () => {
  expect(['Running', 'Stopping', 'Stopped', null].map(stateLevel)).toEqual([
    'ok',
    'warning',
    'critical',
    'unknown',
  ]);
});

test('only what changed among the alarms is spoken', () => {
  const [one, two] = [anAlarm({ id: '1', text: 'one' }), anAlarm({ id: '2', text: 'two' })];
  expect(news([one], [one])).toEqual([]);
  expect(news([one], [two])).toEqual(['New alarm: two', 'Alarm ended: one']);
});
