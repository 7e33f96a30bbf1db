import { describe, expect, test } from 'vitest';
import { nextSort, sorted } from '../../../../src/admin/console/logic/agents.ts';
import { csv } from '../../../../src/admin/console/logic/csv.ts';
import { eventsCsv, eventText, isUnreadSince, sinceOf } from '../../../../src/admin/console/logic/events.ts';
import { panelState } from '../../../../src/admin/console/logic/panel-state.ts';
import type { Sample } from '../../../../src/admin/console/logic/samples.ts';
import { curvesOf, withSample } from '../../../../src/admin/console/logic/samples.ts';
import { list, percent, rate } from '../../../../src/admin/console/logic/text.ts';
import type { AgentLine } from '../../../../src/core/agent-status.ts';

describe('a panel', () => {
  const facts = { hasData: true, hasError: false, age: 0, staleAfter: 10 };

  test.each([
    [{ hasData: false }, 'loading'],
    [{ hasData: false, hasError: true }, 'error'],
    [{}, 'ready'],
    [{ isEmpty: true }, 'empty'],
    [{ isPartial: true }, 'partial'],
    [{ age: 11 }, 'stale'],
    // The last data stays when a later question fails.
    [{ hasError: true, isPartial: true }, 'stale'],
  ])('with %j is %s', (given, state) => {
    expect(panelState({ ...facts, ...given })).toBe(state);
  });
});

test('agents are sorted by a column, downwards after the second click', () => {
  const agent = (name: string, boundSince: string | null): AgentLine => ({
    name,
    kind: 'user',
    instance: 'a',
    incarnation: null,
    generation: 1,
    identity: 'asserted',
    group: null,
    boundSince,
    lastActive: '2026-01-01T00:00:00Z',
    loggedOff: false,
    expiresInSeconds: 1,
  });
  const agents = [agent('B', '2026-01-02'), agent('C', null), agent('A', '2026-01-02')];
  const names = (sort: string): string =>
    sorted(agents, sort)
      .map(({ name }) => name)
      .join('');
  expect([names('name'), names(nextSort('name', 'name')), names('boundSince'), names('nothing')]).toEqual([
    'ABC',
    'CBA',
    'CAB',
    'BCA',
  ]);
});

test('a table for spreadsheets quotes what it must, and holds no formula', () => {
  expect(
    csv(
      ['by', 'why'],
      [
        { by: 'ops', why: 'a, "b"\nc' },
        { by: '=HYPERLINK("x")', why: null },
      ],
    ),
  ).toBe('by,why\r\nops,"a, ""b""\nc"\r\n"\'=HYPERLINK(""x"")",\r\n');
});

describe('curves', () => {
  const sample = (at: number, requests: number) => ({ at, requests, faults: 0, agents: 5, inFlight: 1 });

  test('show what was counted per second between two samples', () => {
    const [at, requests, faults, agents] = curvesOf([sample(10, 100), sample(12, 150), sample(13, 150)]);
    expect({ at, requests, faults, agents }).toEqual({
      at: [12, 13],
      requests: [25, 0],
      faults: [0, 0],
      agents: [5, 5],
    });
  });

  test('neither fall nor rise when a change brings a status between two reports of the workers', () => {
    // 10 requests per second, reported every 5 s, with a status at each change of the pool too.
    const seen: readonly (readonly [at: number, requests: number])[] = [
      [0, 0],
      [5, 50],
      [6, 50],
      [8, 50],
      [10, 100],
      [11, 100],
      [15.5, 150],
    ];
    const kept = seen.map(([at, requests]) => sample(at, requests)).reduce(withSample, [] as Sample[]);
    for (const rate of curvesOf(kept)[1]) expect(rate).toBeCloseTo(10, -1);
    expect(curvesOf(kept)[1].length).toBe(3);
  });

  test('have a gap where the gateway started again', () => {
    expect(curvesOf([sample(10, 100), sample(12, 3)])[1]).toEqual([null]);
  });

  test('forget what is older than a quarter of an hour, and samples that follow at once', () => {
    const kept = withSample([sample(0, 1), sample(500, 2)], sample(1_000, 3));
    expect(kept.map(({ at }) => at)).toEqual([500, 1_000]);
    expect(withSample(kept, sample(1_000.2, 4))).toBe(kept);
  });
});

describe('an event', () => {
  const event = { at: '', kind: 'up', instance: 'a', from: '', to: '', by: 'gw1', why: '' };

  test.each([
    [{}, 'a is up'],
    [{ kind: 'admin', from: 'enabled', to: 'draining' }, 'a began to drain'],
    [{ kind: 'active', from: 'b', to: 'a' }, 'a is active after b'],
    [{ kind: 'failback-policy', from: 'never', to: 'immediate' }, 'failback policy immediate (was never)'],
    [{ kind: 'rebalance', to: 'never' }, 'agents stay as they log on again'],
    [{ kind: 'moved', from: 'a', to: 'b' }, 'agent moved from a to b'],
    [{ kind: 'forgotten', from: 'a' }, 'agent on a forgotten'],
    [{ kind: 'of a later release', to: 'x' }, 'of a later release a to x'],
  ])('with %j reads %j', (given, text) => {
    expect(eventText({ ...event, ...given })).toBe(text);
  });

  test('is saved with the address from which it was done, and the gateway that it concerns', () => {
    const [names, line] = eventsCsv([{ ...event, source: '10.0.0.7', gateway: 'gw2', times: 2 }]).split(
      '\r\n',
    );
    expect(names).toBe('at,kind,instance,from,to,by,why,source,gateway,times,firstAt,epoch');
    expect(line).toBe(',up,a,,,gw1,,10.0.0.7,gw2,2,,');
  });

  test('says that a time is unread while something else stands there', () => {
    expect(['yesterday', '2026-03-01', ' ', '', '24h'].map(isUnreadSince)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  test('is asked for since a time only once the time is complete', () => {
    expect(['24h', ' 30m ', '2026-03-01T22:00:00Z', '2026-03-01', '24', ''].map(sinceOf)).toEqual([
      '24h',
      '30m',
      '2026-03-01T22:00:00Z',
      '',
      '',
      '',
    ]);
  });
});

test('amounts have their unit', () => {
  expect([percent(0.333), rate(0), rate(12.34), rate(1_234)]).toEqual([
    '33\u00a0%',
    '0.0 /s',
    '12.3 /s',
    '1\u202f234 /s',
  ]);
  expect([list([]), list(['a']), list(['a', 'b', 'c'])]).toEqual(['', 'a', 'a, b and c']);
});
