/** How a section measures: every contender has one turn in each round, and figures are compared within a round. */
export interface Rounds {
  readonly count: number;
  /** Shown before each turn. */
  tell(progress: string): void;
}

/**
 * Runs the rounds. They take turns in both directions, so that none always follows the same one.
 *
 * @returns for each contender, what its turns gave, in the order of the rounds
 */
export async function takeTurns<N extends string, T>(
  contenders: readonly N[],
  { count, tell }: Rounds,
  turn: (contender: N, round: number) => Promise<T>,
): Promise<ReadonlyMap<N, readonly T[]>> {
  const results = new Map<N, T[]>(contenders.map((name) => [name, []]));
  for (let round = 0; round < count; round += 1) {
    for (const name of round % 2 === 0 ? contenders : contenders.toReversed()) {
      tell(`round ${round + 1} of ${count}: ${name}`);
      results.get(name)?.push(await turn(name, round));
    }
  }
  return results;
}
