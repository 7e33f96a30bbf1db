import type { RootDatabase } from 'lmdb';

/** A step that waits for the end of the turn. */
interface WaitingStep {
  readonly begin: () => Promise<unknown>;
  readonly answer: (by: Promise<unknown>) => void;
}

// Each needs reserved space on the disk: see affinity/embedded/room.ts.
const MOST_TOGETHER = 8;

export interface StepsOptions {
  /** Returns the store with disk space for so many steps, or throws. */
  readonly withRoom: (steps: number) => RootDatabase;
  /** Makes sure that all tables exist, because a table that is made in a transaction goes with it. */
  readonly openTables: (environment: RootDatabase) => void;
  /** A transaction was given up: what is kept in memory of it is not stored. */
  readonly onAborted: () => void;
}

/**
 * Carries out steps, each in a transaction of its own or those of one turn of the event loop in one: a commit costs as
 * much as a step. Each is answered when the transaction that it was in has been committed.
 */
export class Steps {
  readonly #options: StepsOptions;
  #waiting: WaitingStep[] = [];
  #isScheduled = false;
  /** The store while it carries out several steps. */
  #shared: RootDatabase | undefined;
  #hasFailed = false;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /**
   * Carries out one step now.
   *
   * @param prepare called before the transaction of a step of its own
   * @throws what the step or the store throws; nothing of the step is stored then
   */
  run<T>(prepare: (environment: RootDatabase) => void, step: () => T): T {
    if (this.#shared === undefined) {
      const environment = this.#options.withRoom(1);
      prepare(environment);
      return environment.transactionSync(step);
    }
    try {
      return step();
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
  }

  /**
   * Begins a step at the end of this turn of the event loop, together with the others of the turn.
   *
   * @param begin calls {@link run} before it returns its promise. If a step beside it fails, all begin once more, so it
   *   must do nothing else that counts
   */
  together<T>(begin: () => Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.#waiting.push({ begin, answer: resolve as WaitingStep['answer'] });
      if (this.#waiting.length >= MOST_TOGETHER) this.#carryOut();
      if (this.#isScheduled) return;
      this.#isScheduled = true;
      // Runs after all sockets and channels that had something to read.
      setImmediate(() => {
        this.#isScheduled = false;
        this.#carryOut();
      });
    });
  }

  #carryOut(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const answers = waiting.length > 1 ? this.#inOneTransaction(waiting) : undefined;
    for (const [i, { begin, answer }] of waiting.entries()) answer(answers?.[i] ?? begin());
  }

  /** Returns the answers of the steps; `undefined` if nothing was stored, so that each must have its own transaction. */
  #inOneTransaction(steps: readonly WaitingStep[]): Promise<unknown>[] | undefined {
    const answers: Promise<unknown>[] = [];
    try {
      const environment = this.#options.withRoom(steps.length);
      this.#options.openTables(environment);
      this.#shared = environment;
      this.#hasFailed = false;
      environment.transactionSync(() => {
        for (const { begin } of steps) answers.push(begin());
        if (this.#hasFailed) throw new Error('a step has failed');
      });
      return answers;
    } catch {
      // The answers are of a transaction that was given up.
      for (const answer of answers) answer.catch(() => {});
      if (answers.length > 0) this.#options.onAborted();
      return undefined;
    } finally {
      this.#shared = undefined;
    }
  }
}
