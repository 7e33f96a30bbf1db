import { describe, expect, test } from 'vitest';
import type { AgentEvent } from '../../../src/simulator/agent-stats.ts';
import { Account, SLOW_MS } from '../../soak/account.ts';
import type { Happened } from '../../soak/windows.ts';
import { AFTER_MS } from '../../soak/windows.ts';
import { happened } from './happened.ts';

const AT = { connector: 'a', incarnation: '1' };
let sequence = 0;

function accountWith(...faults: Happened[]): Account {
  const account = new Account(faults);
  account.open(0);
  account.take({ type: 'logon', agent: 'ANN', at: AT, again: false }, 0);
  return account;
}

function request(begunAt: number, endedAt: number, failure?: string): AgentEvent {
  sequence += 1;
  const by = failure === undefined ? AT : undefined;
  return {
    type: 'request',
    agent: 'ANN',
    method: 'makeCall',
    id: String(sequence),
    begunAt,
    endedAt,
    by,
    failure,
  };
}

describe('what agents lose', () => {
  test('is the time from a failed request to the next answer, at the fault of its time', () => {
    const account = accountWith(
      happened('instance-stopped', 1_000, 5_000),
      happened('network-slow', 90_000, 95_000),
    );
    account.take(request(2_000, 4_000, 'GW_OUTCOME_UNKNOWN'), 4_000);
    account.take(request(6_000, 6_100, 'ECONNRESET'), 6_100);
    account.take(request(8_000, 8_010), 8_010);
    expect(account.losses.get('instance-stopped')).toMatchObject({ refused: 1, broken: 1, lostMs: 6_010 });
    expect(account.lostMs).toBe(6_010);
    expect(account).toMatchObject({ requests: 3, answered: 1, unexplained: [] });
  });

  test('is nothing more than that for an answer to an earlier request', () => {
    const account = accountWith(happened('instance-stopped', 1_000, 5_000));
    account.take(request(2_000, 4_000, 'GW_OUTCOME_UNKNOWN'), 4_000);
    account.take(request(1_990, 4_010), 4_010);
    account.take(request(5_000, 5_010), 5_010);
    expect(account.lostMs).toBe(3_010);
  });

  test('is the time until the log-on, at the loss of the instance, however long ago', () => {
    const account = accountWith(
      happened('instance-killed', 1_000, 5_000),
      happened('network-slow', 90_000, 95_000),
    );
    account.take(request(91_000, 91_010), 91_010);
    account.take({ type: 'told', agent: 'ANN', from: AT, at: { connector: 'b', incarnation: '1' } }, 91_010);
    account.take(request(91_020, 91_030), 91_030);
    account.take({ type: 'logon', agent: 'ANN', at: AT, again: true }, 91_500);
    expect(account.losses.get('instance-killed')).toMatchObject({ relogons: 1, lostMs: 500 });
    expect(account.unexplained).toEqual([]);
  });

  test('is the time of a slow answer', () => {
    const account = accountWith();
    account.take(request(1_000, 1_000 + SLOW_MS + 1), 3_000);
    expect(account.losses.get('no fault')).toMatchObject({
      slow: 1,
      lostMs: SLOW_MS + 1,
      slowestMs: SLOW_MS + 1,
    });
    expect(account.unexplained).toEqual([]);
  });

  test('needs a fault: what fails without one is told', () => {
    const account = accountWith(happened('instance-killed', 1_000, 2_000));
    account.take(request(2_000 + AFTER_MS + 1, 2_000 + AFTER_MS + 2, 'GW_NO_INSTANCE'), 20_000);
    account.take({ type: 'told', agent: 'ANN', from: { connector: 'c', incarnation: '1' }, at: AT }, 20_000);
    expect(account.unexplained).toHaveLength(2);
  });

  test('has two names while two faults lasted', () => {
    const account = accountWith(
      happened('network-slow', 1_000, 5_000),
      happened('gateway-killed', 2_000, 3_000),
    );
    account.take(request(2_500, 2_600, 'ECONNRESET'), 2_600);
    expect([...account.losses.keys()]).toEqual(['gateway-killed + network-slow']);
  });

  test('ends when the agent goes home', () => {
    const account = accountWith(happened('instance-killed', 1_000, 2_000));
    account.take(request(1_500, 1_600, 'GW_NO_INSTANCE'), 1_600);
    account.gone('ANN', 4_500);
    expect(account.lostMs).toBe(3_000);
    expect(account.close(61_500, 20_000)).toEqual([]);
  });

  test('goes on for agents who are not served again', () => {
    const account = accountWith(happened('instance-killed', 1_000, 2_000));
    account.take(request(1_500, 1_600, 'GW_NO_INSTANCE'), 1_600);
    expect(account.close(61_500, 20_000)).toEqual(['ANN']);
    expect(account.lostMs).toBe(60_000);
  });
});
