/** A requested replacement of all children. */
export interface Replacement {
  /** Settles when the workers are replaced or cannot be, before the controller is. */
  readonly workers: Promise<void>;
  /** Settles when the whole replacement is over. */
  readonly all: Promise<void>;
}

/** One replacement run, for all requests that came before it began. */
export interface Run {
  readonly why: string;
  /** Whether the configuration is read again; otherwise the current one stays. */
  readonly isReload: boolean;
  readonly onWorkers: () => void;
}

/**
 * Runs replacements one after the other. A request during a run waits for the next run,
 * because the current one may have passed the changed part already. All waiting
 * requests share that next run.
 */
export class ReplacementQueue {
  readonly #replace: (run: Run) => Promise<void>;
  #next: Waiting | undefined;
  #isRunning = false;

  constructor(replace: (run: Run) => Promise<void>) {
    this.#replace = replace;
  }

  ask(why: string, isReload: boolean): Replacement {
    this.#next ??= new Waiting(why);
    if (isReload) this.#next.isReload = true;
    const asked = this.#next;
    if (!this.#isRunning) void this.#run();
    return asked;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let run = this.#next; run !== undefined; run = this.#next) {
      this.#next = undefined;
      await this.#replace(run).then(run.onAll, run.onFailure);
    }
    this.#isRunning = false;
  }
}

class Waiting implements Replacement, Run {
  readonly why: string;
  isReload = false;
  readonly workers: Promise<void>;
  readonly all: Promise<void>;
  onWorkers: () => void = () => undefined;
  onAll: () => void = () => undefined;
  onFailure: (error: unknown) => void = () => undefined;

  constructor(why: string) {
    this.why = why;
    const rejects: ((error: unknown) => void)[] = [];
    this.workers = new Promise((resolve, reject) => {
      this.onWorkers = resolve;
      rejects.push(reject);
    });
    this.all = new Promise((resolve, reject) => {
      this.onAll = resolve;
      rejects.push(reject);
    });
    this.onFailure = (error) => {
      for (const reject of rejects) reject(error);
    };
    // A caller may await only one of the two; avoid an unhandled rejection of the other.
    this.workers.catch(() => undefined);
    this.all.catch(() => undefined);
  }
}
