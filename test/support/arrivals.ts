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

/** An agent's request arrived elsewhere than the one before it. */
export interface Move {
  readonly from: Arrival;
  readonly to: Arrival;
}

export interface Known {
  /** May agents be moved from the instance, in this life, at this time? */
  mayLeave(left: Arrival, at: number): boolean;
  /** When a request was begun and when its client had an answer, if that is known. */
  request?(id: string): { readonly begunAt: number; readonly endedAt: number } | undefined;
}

export interface Whereabouts {
  /** The instance that was left could serve the agent. */
  readonly splits: readonly Move[];
  /** Requests that arrived when their client had been answered already, or their agent had been moved away. */
  readonly late: readonly Arrival[];
  /** Agents who were moved from an instance that could not serve them. */
  readonly moved: ReadonlySet<string>;
  /** Requests that arrived more than once. */
  readonly repeated: readonly string[];
}

/**
 * Where agents really were, by what arrived. Answers do not tell: one that comes late, or never, belongs to a request
 * that an instance has acted on all the same.
 */
export function whereaboutsIn(arrivals: readonly Arrival[], { mayLeave, request }: Known): Whereabouts {
  const last = new Map<string, Arrival>();
  /** When the agent was first seen elsewhere, by the agent and the life that was left. */
  const left = new Map<string, number>();
  const seen = new Set<string>();
  const repeated = new Set<string>();
  const splits: Move[] = [];
  const late: Arrival[] = [];
  const moved = new Set<string>();
  for (const to of [...arrivals].sort((a, b) => a.at - b.at)) {
    if (seen.has(to.id)) repeated.add(to.id);
    seen.add(to.id);
    const { begunAt = to.at, endedAt = Number.POSITIVE_INFINITY } = request?.(to.id) ?? {};
    const leftAt = left.get(`${to.agent} ${to.life}`);
    if (endedAt < to.at || (leftAt !== undefined && begunAt < leftAt)) {
      late.push(to);
      continue;
    }
    const from = last.get(to.agent);
    last.set(to.agent, to);
    if (from === undefined || from.life === to.life) continue;
    left.set(`${to.agent} ${from.life}`, to.at);
    left.delete(`${to.agent} ${to.life}`);
    if (mayLeave(from, to.at)) moved.add(to.agent);
    else splits.push({ from, to });
  }
  return { splits, late, moved, repeated: [...repeated] };
}
