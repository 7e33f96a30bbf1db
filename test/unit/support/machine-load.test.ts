import { describe, expect, test } from 'vitest';
import { whyTooBusy } from '../../support/machine-load.ts';

describe('a run of tests was on a machine too busy to judge by', () => {
  test('if other programs took the time that the tests needed', () => {
    expect(whyTooBusy({ others: 0.6, idle: 0.02, lateTimers: 0, latestMs: 4 })).toContain(
      'other programs used 60 % of its processor time, and 2 % was left',
    );
  });

  test('if an idle thread did not run in time', () => {
    expect(whyTooBusy({ lateTimers: 0.1, latestMs: 812.3 })).toContain(
      '10 % of timers were over 50 ms late, one by 812 ms',
    );
  });

  test.each([
    ['only the tests are busy', { others: 0.05, idle: 0, lateTimers: 0.01, latestMs: 90 }],
    [
      'others are busy on cores that the tests do not need',
      { others: 0.6, idle: 0.3, lateTimers: 0, latestMs: 9 },
    ],
    ['Linux does not tell', { lateTimers: 0, latestMs: 9 }],
  ])('but not if %s', (_, load) => {
    expect(whyTooBusy(load)).toBeUndefined();
  });
});
