/** Who gave an answer: a connector in one of its lives. */
export interface AnsweredBy {
  readonly connector: string;
  readonly incarnation: string;
}

/** An agent was served by two living connectors within one logon. */
export interface Split {
  readonly agent: string;
  readonly first: AnsweredBy;
  readonly second: AnsweredBy;
}

/** An answer came from elsewhere than before; whether that was right is not yet known. */
interface Move extends Split {
  readonly at: number;
  readonly logon: Logon;
}

interface Logon {
  current: AnsweredBy | undefined;
  /** When the present place gave its first answer, if there was another before it. */
  movedAt: number;
  moves: Move[];
  split: boolean;
}

/**
 * Tells a split from a failover, by answers alone.
 *
 * Both look the same at first: within one logon an agent is answered by one
 * connector and then by another. The difference is whether the first was still
 * alive. So a move is held until the connector that was left answers anybody a
 * request which began after the move (it was alive: a split), or until the agent
 * is told to log on again (he was: a failover). A killed connector never answers
 * again in the same incarnation.
 */
export class SplitDetector {
  readonly #logons = new Map<string, Logon>();
  /** Moves not yet decided, by the place that was left. */
  readonly #open = new Map<string, Set<Move>>();
  #openCount = 0;

  /** Moves of which it is not known whether the place that was left was alive. */
  get undecided(): number {
    return this.#openCount;
  }

  /** Where the agent's latest answer came from. */
  placeOf(agent: string): AnsweredBy | undefined {
    return this.#logons.get(agent)?.current;
  }

  /** The agent begins to log on: whatever answers him now is where he is. */
  loggingOn(agent: string): void {
    this.#logons.set(agent, {
      current: undefined,
      movedAt: Number.NEGATIVE_INFINITY,
      moves: [],
      split: false,
    });
  }

  /** The agent was told to log on again: he knows that he was moved. */
  told(agent: string): void {
    const logon = this.#logons.get(agent);
    for (const move of logon?.moves ?? []) this.#close(move);
    if (logon !== undefined) logon.moves = [];
  }

  /**
   * Takes note of an answer, and returns the splits that it proves, at most one per logon.
   *
   * @param begunAt when the request was made, on the clock of `now`
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
