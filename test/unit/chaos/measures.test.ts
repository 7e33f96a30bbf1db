import { describe, expect, test } from 'vitest';
import type { EndedRequest } from '../../chaos/measures.ts';
import { measure } from '../../chaos/measures.ts';

const FAULT = { from: 1_000, done: 1_010 };
let sequence = 0;

/** A request of the agent; `at` names the connector and, after a slash, its incarnation. */
function request(agent: string, begunAt: number, endedAt: number, at: string): EndedRequest {
  sequence += 1;
  const [connector = '', incarnation = '1'] = at.split('/');
  const by = { connector, incarnation };
  return { agent, id: String(sequence), begunAt, endedAt, by, failure: undefined };
}

function failed(agent: string, begunAt: number, endedAt: number, failure: string): EndedRequest {
  return { ...request(agent, begunAt, endedAt, ''), by: undefined, failure };
}

const BEFORE = [request('ANN', 900, 910, 'a'), request('BEN', 900, 910, 'b')];

describe('the cost of a fault', () => {
  test('counts agents that lost their instance, and apart from them those moved without need', () => {
    const measured = measure(
      [...BEFORE, request('ANN', 1_100, 1_800, 'c'), request('BEN', 1_100, 1_110, 'c')],
      FAULT,
      'a',
    );
    expect(measured).toMatchObject({ bereft: 1, moved: 1, movedInVain: 1, recoveryMs: 800, lost: 0 });
  });

  test('separates requests under way from those that met the fault', () => {
    const measured = measure(
      [...BEFORE, failed('ANN', 990, 1_001, 'GW_OUTCOME_UNKNOWN'), failed('BEN', 1_020, 1_030, 'ECONNRESET')],
      FAULT,
      'a',
    );
    expect(measured).toMatchObject({ requests: 2, failed: 2, underWay: 1 });
    expect(measured.failures).toEqual({ GW_OUTCOME_UNKNOWN: 1, ECONNRESET: 1 });
  });

  test('counts a waiting request as recovered when another instance or incarnation answers it', () => {
    const elsewhere = measure([...BEFORE, request('ANN', 990, 1_700, 'c')], FAULT, 'a');
    expect(elsewhere.recoveryMs).toBe(700);
    const reborn = measure([...BEFORE, request('ANN', 990, 1_600, 'a/2')], FAULT, 'a');
    expect(reborn).toMatchObject({ recoveryMs: 600, moved: 0 });
  });

  test('does not count a time without requests as an outage', () => {
    const requests = [...BEFORE, request('ANN', 1_900, 1_910, 'c')];
    expect(measure(requests, FAULT, 'a').recoveryMs).toBe(910);
    const idle = measure(requests, { ...FAULT, left: 1_700 }, 'a');
    expect(idle).toMatchObject({ bereft: 1, moved: 1, recoveryMs: undefined, lost: 0 });
  });

  test('ends with an answer after the last failure, and lists agents without one', () => {
    const measured = measure(
      [
        ...BEFORE,
        request('ANN', 1_100, 1_200, 'c'),
        failed('ANN', 1_300, 1_310, 'GW_NO_INSTANCE'),
        request('ANN', 1_400, 1_500, 'c'),
        failed('BEN', 1_300, 1_310, 'GW_NO_INSTANCE'),
      ],
      FAULT,
      undefined,
    );
    expect(measured).toMatchObject({ bereft: 0, recoveryMs: 500, lost: 1 });
  });
});
