import { describe, expect, test } from 'vitest';
import type { AgentMove } from '../../../../src/core/view/agreed-view.ts';
import { formatFailback, isTimeZone, parseFailback } from '../../../../src/core/view/failback.ts';
import type { AdminAct, Policy } from '../../../../src/core/view/policy.ts';
import { NO_POLICY } from '../../../../src/core/view/policy.ts';
import {
  withActive,
  withAdmin,
  withFailback,
  withMove,
  withoutMove,
  withRelease,
} from '../../../../src/core/view/policy-changes.ts';

const act = (id: string, state: AdminAct['state']): AdminAct => ({
  id,
  state,
  by: 'ops',
  at: 5,
  why: 'patch',
  deadline: 0,
});
const move = (key: string, to: string, until: number): AgentMove => ({ key, from: 'a', to, until });

/** Applies one act after the other. */
const all: Policy = [
  (policy: Policy) => withAdmin(policy, 'a', act('1', 'draining')),
  (policy: Policy) => withFailback(policy, { kind: 'at', time: '03:30', zone: 'UTC' }),
  (policy: Policy) => withActive(policy, 'b', 'wish'),
  (policy: Policy) => withRelease(policy, 'c', 7),
  (policy: Policy) => withMove(policy, move('uM', 'b', 100), 0),
].reduce((policy, change) => change(policy), NO_POLICY);

describe('an operator’s act', () => {
  test('keeps earlier acts on other instances', () => {
    expect(all).toEqual({
      version: 0,
      instances: { a: act('1', 'draining') },
      activate: { id: 'wish', instance: 'b' },
      failback: { kind: 'at', time: '03:30', zone: 'UTC' },
      failbackBy: 'operator',
      released: { c: 7 },
      moves: [move('uM', 'b', 100)],
    });
  });

  test('replaces an earlier act on the same instance', () => {
    const next = withRelease(withAdmin(all, 'a', act('2', 'enabled')), 'c', 9);
    expect(next.instances).toEqual({ a: act('2', 'enabled') });
    expect(next.released).toEqual({ c: 9 });
    expect(withActive(all, 'a', 'other').activate).toEqual({ id: 'other', instance: 'a' });
  });

  test('that sets a failback policy counts also for an instance that was activated before', () => {
    expect(withFailback(all, { kind: 'immediate' }).activate).toBeUndefined();
  });

  test('never changes the policy object that it was made from', () => {
    const before = structuredClone(all);
    withAdmin(all, 'b', act('3', 'disabled'));
    withMove(all, move('uN', 'b', 100), 0);
    withoutMove(all, move('uM', 'b', 100), 0);
    expect(all).toEqual(before);
  });
});

describe('moves of agents', () => {
  test('replace each other for one agent, and are dropped when their time is over', () => {
    const two = withMove(all, move('uN', 'c', 50), 0);
    expect(two.moves).toEqual([move('uM', 'b', 100), move('uN', 'c', 50)]);
    expect(withMove(two, move('uM', 'c', 160), 60).moves).toEqual([move('uM', 'c', 160)]);
    expect(withMove(two, move('uO', 'c', 150), 50).moves).toEqual([
      move('uM', 'b', 100),
      move('uO', 'c', 150),
    ]);
  });

  test('are withdrawn only with the same agent, instance and end', () => {
    expect(withoutMove(all, move('uM', 'b', 100), 0).moves).toEqual([]);
    expect(withoutMove(all, move('uM', 'b', 99), 0).moves).toEqual(all.moves);
    expect(withoutMove(all, move('uN', 'b', 100), 0).moves).toEqual(all.moves);
    expect(withoutMove(all, move('uN', 'b', 100), 100).moves).toEqual([]);
  });
});

describe('a failback policy', () => {
  test.each(['never', 'when-idle', 'immediate', 'at 03:30'])('%s is read as it is written', (text) => {
    const failback = parseFailback(text);
    expect(failback && formatFailback(failback)).toBe(text);
  });

  test.each(['', 'Never', 'at', 'at 3:30', 'at 24:00', 'at 03:30 UTC', ' never'])('%j is invalid', (text) => {
    expect(parseFailback(text)).toBeUndefined();
  });

  test('accepts only time zones that exist', () => {
    expect(['UTC', 'Europe/Berlin', 'Mars/Olympus', ''].filter(isTimeZone)).toEqual(['UTC', 'Europe/Berlin']);
  });
});
