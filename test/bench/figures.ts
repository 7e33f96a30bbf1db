/** The middle value; of an even number of values, the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  if (sorted.length % 2 === 1) return sorted[half] as number;
  return ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}

/**
 * The interval in which the median of all such values lies with a probability of at least 95 %, whatever their distribution:
 * between two order statistics (sign test). Of fewer than six values, the smallest and the largest one, which is less sure.
 */
export function medianInterval(values: readonly number[]): readonly [low: number, high: number] {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  let left = 0;
  let term = 0.5 ** n;
  let below = term;
  // `below` is the probability that at most `left` of the values are under the median.
  while (left < n >> 1) {
    term *= (n - left) / (left + 1);
    if (below + term > 0.025) break;
    below += term;
    left += 1;
  }
  return [sorted[left] ?? Number.NaN, sorted[n - 1 - left] ?? Number.NaN];
}

export type Verdict = 'pass' | 'fail' | 'undecided';

/** The ratios of neighbouring pairs: their median, and the interval of {@link medianInterval}. */
export interface Ratio {
  readonly pairs: number;
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

// Fewer say too little: the interval of six is from the smallest to the largest.
const FEWEST_PAIRS = 15;

export function ratioOf(of: readonly number[], over: readonly number[]): Ratio {
  const ratios = of.slice(0, over.length).map((value, pair) => value / (over[pair] as number));
  const [low, high] = medianInterval(ratios);
  return { pairs: ratios.length, median: median(ratios), low, high };
}

/** Whether a ratio is at most a target. Undecided while the interval contains the target, or with fewer than 15 pairs. */
export function judge({ pairs, low, high }: Ratio, most: number): Verdict {
  if (pairs < FEWEST_PAIRS) return 'undecided';
  if (high <= most) return 'pass';
  return low > most ? 'fail' : 'undecided';
}

/** The least-squares line through points: its slope, and its value at an x. */
export function fitLine(points: readonly { readonly x: number; readonly y: number }[]): {
  readonly slope: number;
  at(x: number): number;
} {
  const n = points.length;
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n;
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread;
  return { slope, at: (x) => meanY + slope * (x - meanX) };
}

/** Rows of cells as lines, the first column to the left and all others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return rows.map(line).join('\n');
}
