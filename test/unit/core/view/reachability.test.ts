import { describe, expect, test } from 'vitest';
import type { HealthReport, ReplicaReport } from '../../../../src/core/view/health-report.ts';
import { Reachability } from '../../../../src/core/view/reachability.ts';
import { DOWN, UP } from '../../../support/agreement.ts';
import { anInstance, aView } from '../../../support/instances.ts';

const says = (a: typeof UP): HealthReport => ({ verdicts: { a, b: UP }, settled: true, idle: false });
const bothUp = aView(anInstance({ id: 'a' }), anInstance({ id: 'b' }));
const PEERS = [{ replica: 'peer', report: says(UP) }];
const ids = (some: Iterable<{ id: string }>): string[] => [...some].map(({ id }) => id);

describe('an instance that one replica cannot reach', () => {
  test('is one that it alone finds down, and takes no new agents from it', () => {
    const reachability = new Reachability(100);
    reachability.compare(bothUp, says(DOWN), PEERS);
    expect([...reachability.unreachable]).toEqual(['a']);
    expect(ids(reachability.candidates)).toEqual(['b']);
  });

  test('is not one that all find down', () => {
    const reachability = new Reachability(100);
    reachability.compare(
      aView(anInstance({ id: 'a', health: 'down' }), anInstance({ id: 'b' })),
      says(DOWN),
      PEERS,
    );
    expect([...reachability.unreachable]).toEqual([]);
  });

  test('is none while it abstains', () => {
    const reachability = new Reachability(100);
    reachability.compare(bothUp, says(DOWN), PEERS);
    reachability.compare(bothUp, undefined, PEERS);
    expect([...reachability.unreachable]).toEqual([]);
    expect(ids(reachability.candidates)).toEqual(['a', 'b']);
  });

  test('is cut off once it was unreachable without a break for long enough', () => {
    const reachability = new Reachability(100);
    const at = (mono: number, a: typeof UP): [boolean, string[]] => {
      reachability.compare(bothUp, says(a), PEERS);
      return [reachability.tick(mono, true), [...reachability.cutOff]];
    };
    expect(at(0, DOWN)).toEqual([false, []]);
    expect(at(99, DOWN)).toEqual([false, []]);
    expect(at(100, DOWN)).toEqual([true, ['a']]);
    expect(at(101, DOWN)).toEqual([false, ['a']]);
    expect(at(102, UP)).toEqual([true, []]);
    expect(at(150, DOWN)).toEqual([false, []]);
    expect(at(249, DOWN)).toEqual([false, []]);
    expect(at(250, DOWN)).toEqual([true, ['a']]);
  });

  test.each([
    ['no other replica reaches it', [{ replica: 'peer', report: says(DOWN) }], true],
    ['the others abstain, or before their reports are agreed', [], true],
    ['its lease is over', PEERS, false],
  ] as const)('is not cut off while %s, and its time starts again after that', (_, others, hasLease) => {
    const reachability = new Reachability(100);
    const at = (mono: number, peers: readonly ReplicaReport[], held: boolean): string[] => {
      reachability.compare(bothUp, says(DOWN), peers);
      reachability.tick(mono, held);
      return [...reachability.cutOff];
    };
    expect(at(0, PEERS, true)).toEqual([]);
    expect(reachability.nextCutOffAt).toBe(100);
    expect(at(200, others, hasLease)).toEqual([]);
    expect(reachability.nextCutOffAt).toBe(Number.POSITIVE_INFINITY);
    expect(at(210, PEERS, true)).toEqual([]);
    expect(at(309, PEERS, true)).toEqual([]);
    expect(at(310, PEERS, true)).toEqual(['a']);
    expect(at(320, others, hasLease)).toEqual([]);
  });
});

describe('the peers that can relay a request', () => {
  const at = (relayAt: string, a: typeof UP): HealthReport => ({ ...says(a), relayAt });

  test('are those that report the instance up and take requests of peers', () => {
    const reachability = new Reachability(100);
    reachability.compare(bothUp, at('own:1', DOWN), [
      { replica: 'p1', report: at('p1:1', UP) },
      { replica: 'p2', report: at('p2:1', DOWN) },
      { replica: 'p3', report: says(UP) },
      { replica: 'p4', report: undefined },
    ]);
    expect([...reachability.relays]).toEqual([
      ['a', ['p1:1']],
      ['b', ['p1:1', 'p2:1']],
    ]);
  });

  test('are those that relay last only if no other one can', () => {
    const reachability = new Reachability(100);
    const last = (relayAt: string, a: typeof UP): HealthReport => ({ ...at(relayAt, a), relaysLast: true });
    reachability.compare(bothUp, at('own:1', DOWN), [
      { replica: 'p1', report: last('p1:1', UP) },
      { replica: 'p2', report: at('p2:1', DOWN) },
      { replica: 'p3', report: last('p3:1', UP) },
    ]);
    expect([...reachability.relays]).toEqual([
      ['a', ['p1:1', 'p3:1']],
      ['b', ['p2:1']],
    ]);
  });

  test('are none for an instance that the view calls down, and none while the view is not agreed', () => {
    const reachability = new Reachability(100);
    const down = aView(anInstance({ id: 'a', health: 'down' }), anInstance({ id: 'b' }));
    const peers = [{ replica: 'p1', report: at('p1:1', UP) }];
    reachability.compare(down, at('own:1', DOWN), peers);
    expect([...reachability.relays.keys()]).toEqual(['b']);
    reachability.compare(bothUp, at('own:1', DOWN), []);
    expect(reachability.relays.size).toBe(0);
  });

  test('are none for a replica that takes no requests of peers itself', () => {
    const reachability = new Reachability(100);
    reachability.compare(bothUp, says(DOWN), [{ replica: 'p1', report: at('p1:1', UP) }]);
    expect(reachability.relays.size).toBe(0);
  });
});
