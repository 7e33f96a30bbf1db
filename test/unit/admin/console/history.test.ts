import { describe, expect, test } from 'vitest';
import type { EpochAnswer, HistoryAnswer } from '../../../../src/admin/console/data/contract.ts';
import { CELLS, cellsOf, chartsOf, reportsText } from '../../../../src/admin/console/logic/history.ts';

const FROM = Date.parse('2026-03-01T08:00:00Z') / 1_000;

const HISTORY: HistoryAnswer = {
  step: 'minute',
  stepSeconds: 60,
  from: '2026-03-01T08:00:00.000Z',
  knownSeconds: [60, 0, 30, 0],
  answers: { '2xx': [120, null, 30, null], '5xx': [60, null, 0, null] },
  latency: { p50: [3, null, 4, null], p95: [5, null, 5, null], p99: [9, null, null, null] },
  inFlight: [2, null, 1, null],
  parked: [0, null, 0, null],
  errors: {},
  instances: {
    a: { agents: [7, null, 8, null], requests: [60, null, 30, null], failures: [0, null, 0, null] },
  },
};

describe('the charts of a history', () => {
  const { at, charts } = chartsOf(HISTORY);
  const of = (title: string) => charts.find((chart) => chart.title === title)?.values;

  test('have gaps, and end before the step that is not due', () => {
    expect(at).toEqual([FROM, FROM + 60, FROM + 120]);
    expect(of('Agents at a')).toEqual([7, null, 8]);
    expect(of('99 % took at most')).toEqual([9, null, null]);
  });

  test('show rates by the seconds that are known', () => {
    expect(of('Requests')).toEqual([3, null, 1]);
    expect(of('Answers with a fault')).toEqual([1, null, 0]);
    expect(of('Errors of the gateway')).toEqual([0, null, 0]);
  });
});

const epoch = (seconds: number, more: Partial<EpochAnswer> = {}): EpochAnswer => ({
  epoch: seconds,
  at: new Date((FROM + seconds) * 1_000).toISOString(),
  cause: 'probes-failed',
  changes: [],
  agents: null,
  seconds: null,
  ...more,
});

test('each change of the view is in the part of the time line where it happened', () => {
  const cells = cellsOf([epoch(1_203), epoch(150), epoch(100)], FROM, FROM + 1_200);
  expect(cells).toHaveLength(CELLS);
  expect(cells.map(({ epochs }) => epochs.map((one) => one.epoch))).toEqual([
    ...[[], [100, 150], [], [], [], []],
    ...[[], [], [], [], [], [1_203]],
  ]);
  expect(cells[1]?.places).toEqual([0, 0.5]);
  expect(cells.at(-1)?.places).toEqual([1]);
});

test('the reports of the gateways are told if they are known', () => {
  const change = { kind: 'down', instance: 'a', from: 'up', to: 'down', by: 'gw1', why: '' } as const;
  const basis = { reports: { gw1: 'down', gw2: 'up' } } as const;
  expect(reportsText(epoch(0, { changes: [change, { ...change, basis }] }))).toBe('gw1: down, gw2: up');
  expect(reportsText(epoch(0, { changes: [change] }))).toBe('');
});
