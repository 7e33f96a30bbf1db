/** The source of an answer: one incarnation of a connector. */
export interface AnsweredBy {
  readonly connector: string;
  readonly incarnation: string;
}

/** Two live connectors served one agent within one logon. */
export interface Split {
  readonly agent: string;
  readonly first: AnsweredBy;
  readonly second: AnsweredBy;
}

/** An answer came from another place than before; whether that was correct is not known yet. */
interface Move extends Split {
  readonly at: number;
  readonly logon: Logon;
}

interface Logon {
  current: AnsweredBy | undefined;
  /** The time of the current place's first answer, if there was another place before. */
  movedAt: number;
  moves: Move[];
  split: boolean;
}

/**
 * Distinguishes a split from a failover, by answers alone.
 *
 * Both look the same at first: within one logon, one connector answers an agent and
 * then another one does. The difference is whether the first one was still alive. So
 * a move stays open until one of two events. If the connector that was left answers
 * any request that began after the move, it was alive: a split. If the agent gets the
 * order to log on again, it was a failover. A killed connector never answers
 * again in the same incarnation.
 */
export class SplitDetector {
  readonly #logons = new Map<string, Logon>();
  /** Undecided moves, by the place that was left. */
  readonly #open = new Map<string, Set<Move>>();
  #openCount = 0;

  /** The number of moves for which it is unknown whether the place that was left was alive. */
  get undecided(): number {
    return this.#openCount;
  }

  /** The place of the agent's latest answer. */
  placeOf(agent: string): AnsweredBy | undefined {
    return this.#logons.get(agent)?.current;
  }

  /** The agent begins to log on: the next answer defines its place. */
  loggingOn(agent: string): void {
    this.#logons.set(agent, {
      current: undefined,
      movedAt: Number.NEGATIVE_INFINITY,
      moves: [],
      split: false,
    });
  }

  /** The agent got the order to log on again, so it knows that it was moved. */
  told(agent: string): void {
    const logon = this.#logons.get(agent);
    for (const move of logon?.moves ?? []) this.#close(move);
    if (logon !== undefined) logon.moves = [];
  }

  /**
   * Records an answer and returns the splits that it proves, at most one per logon.
   *
   * @param begunAt when the request was sent, by the clock of `now`
   */
  answered(agent: string, by: AnsweredBy, begunAt: number, now: number): Split[] {
    const splits = this.#proofOfLife(by, begunAt);
    const logon = this.#logons.get(agent);
    if (logon === undefined || logon.split) return splits;
    if (logon.current === undefined) {
      logon.current = by;
    } else if (placeKey(logon.current) !== placeKey(by) && begunAt > logon.movedAt) {
      const move: Move = { agent, first: logon.current, second: by, at: now, logon };
      logon.moves.push(move);
      this.#openMove(move);
      logon.current = by;
      logon.movedAt = now;
    }
    return splits;
  }

  #proofOfLife(by: AnsweredBy, begunAt: number): Split[] {
    const open = this.#open.get(placeKey(by));
    if (open === undefined) return [];
    const splits: Split[] = [];
    for (const move of open) {
      if (begunAt <= move.at) continue;
      this.#close(move);
      if (move.logon.split) continue;
      move.logon.split = true;
      const { agent, first, second } = move;
      splits.push({ agent, first, second });
    }
    return splits;
  }

  #openMove(move: Move): void {
    const key = placeKey(move.first);
    const open = this.#open.get(key);
    if (open === undefined) this.#open.set(key, new Set([move]));
    else open.add(move);
    this.#openCount += 1;
  }

  #close(move: Move): void {
    const key = placeKey(move.first);
    const open = this.#open.get(key);
    if (open?.delete(move) !== true) return;
    this.#openCount -= 1;
    if (open.size === 0) this.#open.delete(key);
  }
}

export function placeKey(place: AnsweredBy): string {
  return `${place.connector} ${place.incarnation}`;
}
