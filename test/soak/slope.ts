/** A value of one process, or of one role, at a time. */
export interface Sample {
  readonly x: number;
  readonly y: number;
}

export interface Slope {
  readonly slope: number;
  /** The 95 % interval of the slope. Infinite if there are too few samples for one. */
  readonly low: number;
  readonly high: number;
}

/**
 * The common slope of several series, by least squares, where each series has a level of its own: those of one process each.
 * Neighbouring samples of memory are alike, so they count for less than independent ones: the interval is wider by the
 * autocorrelation of the residuals (the effective number of samples of a first-order autoregressive process).
 */
export function slopeOf(series: readonly (readonly Sample[])[]): Slope {
  const used = series.filter(({ length }) => length > 1);
  const centred = used.map((samples) => {
    const meanX = mean(samples.map(({ x }) => x));
    const meanY = mean(samples.map(({ y }) => y));
    return samples.map(({ x, y }) => ({ x: x - meanX, y: y - meanY }));
  });
  const all = centred.flat();
  const spread = sum(all.map(({ x }) => x * x));
  if (spread === 0) return { slope: 0, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const slope = sum(all.map(({ x, y }) => x * y)) / spread;
  const residuals = centred.map((samples) => samples.map(({ x, y }) => y - slope * x));
  const squares = sum(residuals.flat().map((one) => one * one));
  const neighbours = sum(
    residuals.map((some) => sum(some.slice(1).map((one, i) => one * (some[i] as number)))),
  );
  const alike = squares === 0 ? 0 : Math.min(0.99, Math.max(0, neighbours / squares));
  const independent = (all.length * (1 - alike)) / (1 + alike);
  const freedom = independent - used.length - 1;
  if (freedom < 1) return { slope, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const variance = (squares / (all.length - used.length - 1) / spread) * ((1 + alike) / (1 - alike));
  const reach = quantile(freedom) * Math.sqrt(variance);
  return { slope, low: slope - reach, high: slope + reach };
}

/** Of Student's t for 97.5 %, to 1 %: the first terms of its expansion around the normal distribution (Cornish and Fisher). */
function quantile(freedom: number): number {
  if (freedom < 3) return FEW[Math.floor(freedom)] ?? Number.POSITIVE_INFINITY;
  const z = 1.959964;
  const first = (z ** 3 + z) / (4 * freedom);
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3);
  return z + first + second + third;
}

const FEW = [Number.POSITIVE_INFINITY, 12.706, 4.303];

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
