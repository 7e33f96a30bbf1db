import { Histogram } from '../../src/simulator/histogram.ts';

/** @param durations in ms */
export function histogramOf(durations: Iterable<number>): Histogram {
  const histogram = new Histogram();
  for (const duration of durations) histogram.record(duration);
  return histogram;
}
