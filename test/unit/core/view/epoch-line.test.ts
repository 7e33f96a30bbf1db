import { describe, expect, test } from 'vitest';
import type { LoggedEvent, PoolEvent } from '../../../../src/core/view/agreed-view.ts';
import { epochLines } from '../../../../src/core/view/epoch-line.ts';
import { withBasis } from '../../../../src/core/view/event-basis.ts';
import { LOST, RELEASED, REQUESTED } from '../../../../src/core/view/next-view.ts';

const AT = 1_000_000;

function event(kind: PoolEvent['kind'], epoch: number, more: Partial<LoggedEvent> = {}): LoggedEvent {
  return { kind, epoch, at: AT + epoch * 1_000, instance: 'a', from: '', to: '', by: 'g0', why: '', ...more };
}

const causes = (...events: readonly LoggedEvent[]): unknown =>
  epochLines(events, []).map(({ cause }) => cause);

test('the events of one view are one line, and what decided comes first', () => {
  const [line, ...others] = epochLines(
    [
      event('quarantined', 7),
      event('active', 7, { instance: 'b', why: LOST }),
      event('down', 7, {
        from: 'up',
        basis: { reports: { g0: 'down', g1: 'down' }, agents: 12, doubtedMs: 2_340 },
      }),
    ],
    [],
  );
  expect(others).toEqual([]);
  expect(line).toMatchObject({ epoch: 7, at: AT + 7_000, cause: 'probes-failed', agents: 12, seconds: 2.34 });
  expect(line?.changes.map(({ kind }) => kind)).toEqual(['down', 'quarantined', 'active']);
});

test.each<[cause: string, event: LoggedEvent]>([
  ['start', event('up', 1, { from: 'unknown' })],
  ['probes-passed', event('up', 1, { from: 'down' })],
  ['probes-failed', event('down', 1, { from: 'up' })],
  ['restart', event('restarted', 1)],
  ['failover', event('active', 1, { why: LOST })],
  ['failback', event('active', 1, { why: 'failback when-idle' })],
  ['operator', event('active', 1, { why: REQUESTED })],
  ['operator', event('cleared', 1, { why: RELEASED })],
  ['empty', event('cleared', 1)],
  ['drain', event('drained', 1)],
  ['configuration', event('configured', 1)],
])('%s', (cause, one) => {
  expect(causes(one)).toEqual([cause]);
});

describe('an act of an operator', () => {
  const act = event('activate', 6, { by: 'jones', why: 'patch' });

  test('belongs to the view that it made', () => {
    const [line] = epochLines([event('active', 7, { why: REQUESTED })], [act]);
    expect([line?.epoch, line?.at, line?.cause]).toEqual([7, AT + 7_000, 'operator']);
    expect(line?.changes.map(({ by }) => by)).toEqual(['g0', 'jones']);
  });

  test('is a line of its own if its view has no event, or one of much later', () => {
    const lines = epochLines([event('down', 7, { at: AT + 100_000, from: 'up' })], [act]);
    expect(lines.map(({ epoch, cause }) => [epoch, cause])).toEqual([
      [7, 'probes-failed'],
      [7, 'operator'],
    ]);
  });

  test('that changes no view is missing', () => {
    expect(epochLines([], [event('state', 3), event('failback-policy', 3)])).toEqual([]);
  });
});

test('views that have the same number, because the store lost one, are two lines', () => {
  expect(causes(event('down', 7, { from: 'up' }), event('up', 7, { at: AT, from: 'down' }))).toEqual([
    'probes-failed',
    'probes-passed',
  ]);
});

test('nothing is known of a line of the last release', () => {
  const [line] = epochLines([event('down', 7, { from: 'up' })], []);
  expect([line?.agents, line?.seconds, line?.changes[0]]).toEqual([
    ...[undefined, undefined],
    { kind: 'down', instance: 'a', from: 'up', to: '', by: 'g0', why: '' },
  ]);
});

describe('what a change of health follows from', () => {
  const report = (health: 'up' | 'down') => ({
    verdicts: { a: { health, incarnation: '', emptyAt: 0 } },
    settled: true,
    idle: false,
  });
  const known = {
    reports: [
      { replica: 'g0', report: report('down') },
      { replica: 'g1', report: undefined },
      { replica: 'g2', report: { ...report('up'), verdicts: {} } },
    ],
    boundAgents: () => 5,
    doubtedMs: () => 1_200.4,
  };

  test('are the reports, the bound agents and the time since the first doubt', () => {
    expect(withBasis(event('down', 1), known).basis).toEqual({
      reports: { g0: 'down', g1: 'abstains', g2: 'unknown' },
      agents: 5,
      doubtedMs: 1_200,
    });
    expect(withBasis(event('up', 1), known).basis).not.toHaveProperty('agents');
    expect(withBasis(event('drained', 1), known)).not.toHaveProperty('basis');
  });

  test('is bounded', () => {
    const reports = Array.from({ length: 100 }, (_, i) => ({ replica: `g${i}`, report: report('up') }));
    const { basis } = withBasis(event('down', 1), { ...known, reports });
    expect(Object.keys(basis?.reports ?? {})).toHaveLength(20);
  });
});
