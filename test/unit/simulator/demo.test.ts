import { describe, expect, test } from 'vitest';
import type { AgentStats } from '../../../src/simulator/agent-stats.ts';
import { AgentRecord } from '../../../src/simulator/agent-stats.ts';
import { demoLine, demoTable } from '../../../src/simulator/demo-table.ts';
import type { DemoMeasures } from '../../../src/simulator/demo-verdict.ts';
import { judge } from '../../../src/simulator/demo-verdict.ts';
import type { Outage } from '../../../src/simulator/demo-watch.ts';
import { OutageWatch } from '../../../src/simulator/demo-watch.ts';
import { decisionsIn } from '../../../src/simulator/gateway-process.ts';
import { LiveScreen } from '../../../src/simulator/live-screen.ts';

const B = { connector: 'b', incarnation: '1' };
const A = { connector: 'a', incarnation: '1' };

function stats(changes: Partial<AgentStats> = {}): AgentStats {
  return { ...new AgentRecord(() => undefined).stats(), requests: 100, answers: 100, ...changes };
}

function measures(changes: Partial<DemoMeasures> = {}): DemoMeasures {
  return {
    agents: stats(),
    outages: [outage()],
    delivered: 100,
    duplicates: [],
    gatewayDied: undefined,
    ...changes,
  };
}

function outage(changes: Partial<Outage> = {}): Outage {
  return {
    connector: 'b',
    agents: 14,
    backAt: { c: 6, a: 8 },
    withinMs: 900,
    disturbed: 0,
    upAgainMs: 1_200,
    newcomers: { b: 3 },
    ...changes,
  };
}

function failures(changes: Partial<DemoMeasures>): string[] {
  return judge(measures(changes)).lines.flatMap(({ good, text }) => (good ? [] : [text]));
}

describe('the verdict of the demo', () => {
  test('describes the events in plain words', () => {
    const { kept, lines } = judge(measures());
    expect(kept).toBe(true);
    expect(lines.map(({ text }) => text)).toEqual([
      'connector b was killed: 14 agents logged on again at a and c within 0.9 s',
      'agents of the other connectors noticed nothing',
      'connector b was started again and up after 1.2 s; 3 new agents then logged on at b',
      'no agent was answered by two living connectors',
      'no request was sent twice (100 reached a connector)',
      'all 100 requests were answered',
      'every request arrived byte for byte',
    ]);
  });

  test.each<[string, Partial<DemoMeasures>]>([
    ['only 13 of 14 agents logged on again', { outages: [outage({ backAt: { a: 13 } })] }],
    ['within 10.5 s', { outages: [outage({ withinMs: 10_500 })] }],
    ['2 agents of other connectors', { outages: [outage({ disturbed: 2 })] }],
    ['was not used again', { outages: [outage({ upAgainMs: undefined })] }],
    ['1 logon answered by two living', { agents: stats({ splits: 1 }) }],
    ['1 request reached connectors twice, first d7', { duplicates: ['d7'] }],
    [
      '2 of 100 requests were not answered (2 ECONNRESET)',
      { agents: stats({ answers: 98, errors: { ECONNRESET: 2 } }) },
    ],
    ['3 requests arrived changed', { agents: stats({ corrupted: 3 }) }],
    ['the gateway ended by itself: SIGSEGV', { gatewayDied: 'SIGSEGV' }],
  ])('is negative when %s', (text, changes) => {
    const found = failures(changes);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(text);
  });

  test('counts a Fault as an answer, and names its code', () => {
    const agents = stats({ answers: 97, faults: { GW_OUTCOME_UNKNOWN: 1, 'unknown session': 2 } });
    const { kept, lines } = judge(measures({ agents }));
    expect(kept).toBe(true);
    expect(lines.map(({ text }) => text)).toContain(
      'all 100 requests were answered, of them with a Fault: 1 GW_OUTCOME_UNKNOWN, 2 unknown session',
    );
  });

  test('is negative if no request was sent', () => {
    expect(judge(measures({ agents: stats({ requests: 0, answers: 0 }), delivered: 0 })).kept).toBe(false);
  });
});

describe('the record of an outage', () => {
  const places = new Map([
    ['U1', B],
    ['U2', B],
    ['U3', A],
  ]);

  test('ends when every agent of the killed connector is logged on again', () => {
    const watch = new OutageWatch(B, places, 1_000);
    watch.take({ type: 'told', agent: 'U1', from: B, at: A }, 1_400);
    watch.take({ type: 'logon', agent: 'U1', at: A, again: true }, 1_500);
    expect(watch.allBack).toBe(false);
    watch.take({ type: 'logon', agent: 'U2', at: A, again: true }, 1_700);
    expect(watch.allBack).toBe(true);
    expect(watch.outage()).toMatchObject({ agents: 2, backAt: { a: 2 }, withinMs: 700, disturbed: 0 });
  });

  test('counts agents of other connectors that had to log on again', () => {
    const watch = new OutageWatch(B, places, 0);
    watch.take({ type: 'told', agent: 'U3', from: A, at: A }, 10);
    expect(watch.outage().disturbed).toBe(1);
  });

  test('counts new agents only once the connector is up again', () => {
    const watch = new OutageWatch(B, places, 0);
    watch.take({ type: 'logon', agent: 'U4', at: A, again: false }, 10);
    watch.upAgain(500);
    watch.take({ type: 'logon', agent: 'U5', at: A, again: false }, 600);
    expect(watch.outage()).toMatchObject({ upAgainMs: 500, newcomers: { a: 1 } });
  });
});

describe('the screen', () => {
  function terminal(isTTY: boolean) {
    const written: string[] = [];
    return { isTTY, written, write: (text: string) => written.push(text) };
  }

  test('shows no block, no colour and no control character without a terminal', () => {
    const output = terminal(false);
    const screen = new LiveScreen(output, {});
    screen.frame(['live']);
    screen.line(screen.paint('red', 'stays'));
    screen.close();
    expect(output.written.join('')).toBe('stays\n');
  });

  test('redraws its last block, and restores the cursor', () => {
    const output = terminal(true);
    const screen = new LiveScreen(output, {});
    screen.frame(['one', 'two']);
    screen.frame(['three']);
    screen.close();
    expect(output.written.join('')).toBe(
      '\u001b[?25l\u001b[?7lone\ntwo\n\u001b[2A\u001b[Jthree\n\u001b[1A\u001b[J\u001b[?7h\u001b[?25h',
    );
  });

  test('uses colours on a terminal unless NO_COLOR is set', () => {
    expect(new LiveScreen(terminal(true), {}).paint('red', 'x')).toBe('\u001b[31mx\u001b[0m');
    expect(new LiveScreen(terminal(true), { NO_COLOR: '1' }).paint('red', 'x')).toBe('x');
    expect(new LiveScreen(terminal(true), { NO_COLOR: '' }).paint('red', 'x')).toContain('\u001b[31m');
  });

  test('has a line for every connector, with its agents and its health at the gateway', () => {
    const moment = {
      seconds: 12.34,
      connectors: [
        { name: 'a', alive: true },
        { name: 'b', alive: false },
      ],
      stats: stats({ agentsByConnector: { a: 3 }, answersByConnector: { a: 70, b: 30 } }),
      gateway: { health: new Map([['a', 'up']]), decisions: new Map([['bound', 97]]) },
    };
    const table = demoTable(moment, new LiveScreen(terminal(true), { NO_COLOR: '1' }));
    expect(table.find((line) => line.startsWith('  a '))).toMatch(/up +3 +70 +▪▪▪$/);
    expect(table.find((line) => line.startsWith('  b '))).toMatch(/killed +0 +30/);
    expect(demoLine(moment)).toContain('12.3 s  agents: a 3, b killed; requests 100');
    expect(demoLine(moment)).toContain('decisions: bound 97');
  });
});

test('decisions are summed over all other labels', () => {
  const metrics = `# HELP gateway_requests_total Requests.
gateway_requests_total{pool="ici",decision="bound",status_class="2xx"} 40
gateway_requests_total{pool="ici",decision="bound",status_class="5xx"} 2
gateway_requests_total{pool="ici",decision="claimed",status_class="2xx"} 3
gateway_other_total{decision="bound"} 9
`;
  expect([...decisionsIn(metrics)]).toEqual([
    ['bound', 42],
    ['claimed', 3],
  ]);
});
