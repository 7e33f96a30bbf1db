import { expect, test } from 'vitest';
import { judge, medianInterval, ratioOf } from '../../bench/figures.ts';

// Ranks of the sign test for 95 %, as in printed tables.
test.each([
  { n: 5, low: 1, high: 5 },
  { n: 6, low: 1, high: 6 },
  { n: 15, low: 4, high: 12 },
  { n: 16, low: 4, high: 13 },
  { n: 30, low: 10, high: 21 },
])(
  'the interval of the median of $n values is between the values of ranks $low and $high',
  ({ n, low, high }) => {
    const values = Array.from({ length: n }, (_, i) => n - i);
    expect(medianInterval(values)).toEqual([low, high]);
  },
);

test('a ratio is the median of the ratios of pairs, not the ratio of medians', () => {
  expect(ratioOf([2, 9, 4], [1, 3, 4])).toEqual({ pairs: 3, median: 2, low: 1, high: 3 });
});

test.each([
  { pairs: 15, low: 1.1, high: 1.2, verdict: 'pass' },
  { pairs: 15, low: 1.0, high: 1.3, verdict: 'undecided' },
  { pairs: 15, low: 1.15, high: 1.4, verdict: 'undecided' },
  { pairs: 15, low: 1.2, high: 1.3, verdict: 'undecided' },
  { pairs: 15, low: 1.21, high: 1.3, verdict: 'fail' },
  { pairs: 14, low: 1.1, high: 1.2, verdict: 'undecided' },
])('$pairs pairs between $low and $high are, for a target of 1.2: $verdict', ({ verdict, ...ratio }) => {
  expect(judge({ ...ratio, median: (ratio.low + ratio.high) / 2 }, 1.2)).toBe(verdict);
});
