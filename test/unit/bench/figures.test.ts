import { expect, test } from 'vitest';
import { medianInterval } from '../../bench/figures.ts';

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
