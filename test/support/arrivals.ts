/** A request that arrived at an instance, as the instance tells. */
export interface Arrival {
  /** Milliseconds on one clock for all instances. */
  readonly at: number;
  /** Of the request; the same where it arrives again. */
  readonly id: string;
  readonly agent: string;
  readonly instance: string;
  /** The life of the instance. */
  readonly life: string;
}

/** An agent's request arrived elsewhere than the one before it, although the instance that was left could serve it. */
export interface Move {
  readonly from: Arrival;
  readonly to: Arrival;
}

/**
 * Where agents really were, by what arrived. Answers do not tell: one that comes late, or never, belongs to a request
 * that an instance has acted on all the same.
 *
 * @param mayLeave may agents be moved from the instance, in this life, at this time?
 */
export function splitsIn(
  arrivals: readonly Arrival[],
  mayLeave: (left: Arrival, at: number) => boolean,
): Move[] {
  const last = new Map<string, Arrival>();
  const splits: Move[] = [];
  for (const to of [...arrivals].sort((a, b) => a.at - b.at)) {
    const from = last.get(to.agent);
    last.set(to.agent, to);
    if (from !== undefined && from.life !== to.life && !mayLeave(from, to.at)) splits.push({ from, to });
  }
  return splits;
}

/** Ids of the requests that arrived more than once. */
export function repeatedIn(arrivals: readonly Arrival[]): string[] {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { id } of arrivals) {
    if (seen.has(id)) repeated.add(id);
    seen.add(id);
  }
  return [...repeated];
}
