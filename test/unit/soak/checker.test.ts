import { describe, expect, test } from 'vitest';
import type { Asked, Known } from '../../soak/checker.ts';
import { check } from '../../soak/checker.ts';
import { AFTER_MS } from '../../soak/windows.ts';
import type { Arrival } from '../../support/arrivals.ts';
import { happened } from './happened.ts';

/** `place` is an instance and its run, such as `a1`. */
function arrival(id: string, place: string, at: number): Arrival {
  return { id, at, agent: id.slice(0, 3), instance: place.slice(0, 1), incarnation: place };
}

function judge(arrivals: readonly Arrival[], known: Partial<Known> = {}) {
  const requests = new Map<string, Asked>(
    arrivals.map(({ id, at }) => [id, { begunAt: at - 1, endedAt: at + 1, isAnswered: true }]),
  );
  const nothing = {
    faults: [],
    loggedOff: new Map(),
    graceMs: 30_000,
    hasProxy: false,
    isOfFailover: () => false,
  };
  return check(arrivals, { ...nothing, ...known, requests: known.requests ?? requests });
}

const MOVE = [arrival('ANN1', 'a1', 100), arrival('ANN2', 'b1', 5_000)];

describe('the deliveries of a soak', () => {
  test('are a split if an agent moves without a reason', () => {
    expect(judge(MOVE)).toMatchObject({ splits: [{ to: { id: 'ANN2' } }], moved: 0 });
    expect(judge(MOVE, { faults: [happened('instance-slow', 200, 900)] }).splits).toHaveLength(1);
    expect(judge(MOVE, { faults: [happened('instance-killed', 200, 900, 'c')] }).splits).toHaveLength(1);
    expect(judge(MOVE, { faults: [happened('instance-killed', 6_000, 7_000)] }).splits).toHaveLength(1);
  });

  test('are none if the instance was lost', () => {
    expect(judge(MOVE, { faults: [happened('instance-killed', 200, 900)] })).toMatchObject({
      splits: [],
      moved: 1,
    });
    expect(judge(MOVE, { faults: [happened('instance-stopped', 200, 900)] })).toMatchObject({
      splits: [],
      moved: 1,
    });
  });

  test('are a split if the instance has been back with its memory for long, but not if it has forgotten', () => {
    const later = [arrival('ANN1', 'a1', 100), arrival('ANN2', 'b1', 900 + AFTER_MS + 1)];
    expect(judge(later, { faults: [happened('instance-stopped', 200, 900)] }).splits).toHaveLength(1);
    expect(judge(later, { faults: [happened('instance-killed', 200, 900)] }).splits).toEqual([]);
  });

  test('are none if all agents of a failover pool leave, each with the next request', () => {
    const faults = [happened('instance-stopped', 200, 900)];
    const isOfFailover = () => true;
    const later = [arrival('ANN1', 'a1', 100), arrival('ANN2', 'b1', 60_000)];
    expect(judge(later, { faults, isOfFailover }).splits).toEqual([]);
    const stayed = [arrival('ANN1', 'a1', 900 + AFTER_MS + 1), arrival('ANN2', 'b1', 60_000)];
    expect(judge(stayed, { faults, isOfFailover }).splits).toHaveLength(1);
  });

  test('are none while another fault beside the loss lasts, which the recovery may wait for', () => {
    const later = [arrival('ANN1', 'a1', 100), arrival('ANN2', 'b1', 900 + AFTER_MS + 1)];
    const lost = happened('instance-cut-from-gateways', 200, 900);
    expect(judge(later, { faults: [happened('gateway-killed', 100, 3_000), lost] }).splits).toEqual([]);
    expect(judge(later, { faults: [lost, happened('gateway-killed', 901, 3_000)] }).splits).toHaveLength(1);
  });

  test('are a split if an agent leaves the process that followed the killed one', () => {
    const next = [arrival('ANN1', 'a2', 950), arrival('ANN2', 'b1', 2_000)];
    expect(judge(next, { faults: [happened('instance-killed', 200, 900)] }).splits).toHaveLength(1);
  });

  test('are none if the agent had logged off long enough before', () => {
    const loggedOff = new Map([['ANN', [200]]]);
    expect(judge(MOVE, { loggedOff, graceMs: 4_000 }).splits).toEqual([]);
    expect(judge(MOVE, { loggedOff, graceMs: 30_000 }).splits).toHaveLength(1);
  });

  test('count a request that arrives twice, at any instance', () => {
    const twice = [arrival('ANN1', 'a1', 100), arrival('ANN1', 'b1', 200)];
    expect(judge(twice).repeated).toEqual(['ANN1']);
  });

  test('are late after the answer, unless a stopped or killed process had them', () => {
    const arrivals = [arrival('ANN1', 'a1', 5_000)];
    const requests = new Map([['ANN1', { begunAt: 100, endedAt: 3_000, isAnswered: false }]]);
    const late = (...faults: Known['faults']) => judge(arrivals, { requests, faults });
    expect(late().late).toHaveLength(1);
    expect(late(happened('instance-cut-from-gateways', 50, 4_900)).late).toHaveLength(1);
    expect(late(happened('instance-stopped', 50, 4_900, 'b')).late).toHaveLength(1);
    expect(late(happened('instance-stopped', 50, 4_900))).toMatchObject({ late: [], lateAsDocumented: 1 });
    expect(late(happened('gateway-stopped', 50, 4_900))).toMatchObject({ late: [], lateAsDocumented: 1 });
  });

  test('have a record of every answer, else the check itself has failed', () => {
    const requests = new Map([['BOB1', { begunAt: 100, endedAt: 110, isAnswered: true }]]);
    expect(judge([arrival('ANN1', 'a1', 100)], { requests }).unrecorded).toEqual(['BOB1']);
  });
});
