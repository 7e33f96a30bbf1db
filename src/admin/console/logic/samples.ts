/** What the curves are drawn from: one point for each status that was received while the page is open. */

export interface Counters {
  readonly requests: number;
  readonly faults: number;
  readonly agents: number;
  readonly inFlight: number;
}

export interface Sample extends Counters {
  /** Seconds since the Unix epoch, as uPlot wants them. */
  readonly at: number;
}

/** Columns of equal length: times, requests per second, faults per second, bound agents, in flight. */
export type Curves = readonly [
  at: number[],
  requests: (number | null)[],
  faults: (number | null)[],
  agents: number[],
  inFlight: number[],
];

const LONGEST_S = 15 * 60;
// An operator who opens the console sees curves soon.
const FIRST_GAP_S = 0.9;
const SHORTEST_GAP_S = 4;
// Workers report what they counted every 5 s, and a status comes with each change: the same count again is no news yet.
const SHORTEST_STILL_S = 7;

/** Appends a sample, and forgets what is older than a quarter of an hour. A sample that follows at once replaces none. */
export function withSample(samples: readonly Sample[], next: Sample): readonly Sample[] {
  const last = samples.at(-1);
  const isStill = last?.requests === next.requests;
  const shortest = samples.length === 1 ? FIRST_GAP_S : isStill ? SHORTEST_STILL_S : SHORTEST_GAP_S;
  if (last !== undefined && next.at - last.at < shortest) return samples;
  return [...samples.filter(({ at }) => at > next.at - LONGEST_S), next];
}

export function curvesOf(samples: readonly Sample[]): Curves {
  const perSecond = (of: (sample: Sample) => number): (number | null)[] =>
    samples.slice(1).map((sample, index) => {
      const before = samples[index];
      if (before === undefined) return null;
      const grown = of(sample) - of(before);
      // Counters begin again when the gateway starts again.
      return grown < 0 ? null : grown / (sample.at - before.at);
    });
  const shown = samples.slice(1);
  return [
    shown.map(({ at }) => at),
    perSecond(({ requests }) => requests),
    perSecond(({ faults }) => faults),
    shown.map(({ agents }) => agents),
    shown.map(({ inFlight }) => inFlight),
  ];
}
