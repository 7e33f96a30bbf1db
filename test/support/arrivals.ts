/** A request that arrived at an instance, as recorded by the instance. */
export interface Arrival {
  /** Milliseconds on one clock for all instances. */
  readonly at: number;
  /** The id of the request, which is the same if it arrives again. */
  readonly id: string;
  readonly agent: string;
  readonly instance: string;
  /** The incarnation of the instance. */
  readonly incarnation: string;
}

/** An agent's request arrived at another instance than the one before it. */
export interface Move {
  readonly from: Arrival;
  readonly to: Arrival;
}

export interface Known {
  /** Whether agents may move away from this incarnation at this time. */
  mayLeave(left: Arrival, at: number): boolean;
  /** When a request was sent and when its client had an answer, if known. */
  request?(id: string): { readonly begunAt: number; readonly endedAt: number } | undefined;
}

export interface Whereabouts {
  /** The instance that was left could serve the agent. */
  readonly splits: readonly Move[];
  /** Requests that arrived after the answer to their client, or after their agent was moved away. */
  readonly late: readonly Arrival[];
  /** Agents that were moved from an instance that could not serve them. */
  readonly moved: ReadonlySet<string>;
  /** Requests that arrived more than once. */
  readonly repeated: readonly string[];
}

/**
 * The real places of agents, from the requests that arrived. Answers are not enough: even a request without an answer, or with
 * a late one, was carried out by an instance.
 */
export function whereaboutsIn(arrivals: readonly Arrival[], { mayLeave, request }: Known): Whereabouts {
  const last = new Map<string, Arrival>();
  /** When an agent was first seen elsewhere, keyed by the agent and the incarnation that it left. */
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
    const leftAt = left.get(`${to.agent} ${to.incarnation}`);
    if (endedAt < to.at || (leftAt !== undefined && begunAt < leftAt)) {
      late.push(to);
      continue;
    }
    const from = last.get(to.agent);
    last.set(to.agent, to);
    if (from === undefined || from.incarnation === to.incarnation) continue;
    left.set(`${to.agent} ${from.incarnation}`, to.at);
    left.delete(`${to.agent} ${to.incarnation}`);
    if (mayLeave(from, to.at)) moved.add(to.agent);
    else splits.push({ from, to });
  }
  return { splits, late, moved, repeated: [...repeated] };
}
