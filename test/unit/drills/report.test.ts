import { expect, test } from 'vitest';
import type { DrillReport } from '../../drills/drills.ts';
import { isMet, lineOf } from '../../drills/report.ts';

const CALM: DrillReport = {
  times: 10,
  requests: 1_000,
  perSecond: 250,
  refused: 0,
  failed: 0,
  cut: 0,
  moved: 0,
  calmP99Ms: 10,
  p99Ms: 10,
  slowestMs: 20,
  longestMs: 500,
  slowest: '',
  examples: [],
};

test.each<[string, Partial<DrillReport>, Partial<DrillReport>]>([
  ['all', { slowestMs: 1_000, p99Ms: 900 }, { slowestMs: 1_001 }],
  ['one', { p99Ms: 60, slowestMs: 2_000 }, { p99Ms: 61 }],
  ['restarts', { p99Ms: 20 }, { p99Ms: 21 }],
  ['reloads', { p99Ms: 20 }, { p99Ms: 21 }],
  ['controller', { longestMs: 2_000 }, { longestMs: 2_001 }],
  ['kills', { cut: 3, p99Ms: 5_000 }, { moved: 1 }],
  ['restarts', {}, { cut: 1 }],
  ['all', { cut: 3 }, { refused: 1 }],
])('the drill %s is met with %o, and missed with %o', (name, met, missed) => {
  expect(isMet(lineOf(name, name, { ...CALM, ...met }))).toBe(true);
  expect(isMet(lineOf(name, name, { ...CALM, ...missed }))).toBe(false);
});
