import type { Config } from '../config/schema.ts';

/** The replacement of all children that somebody asked for. */
export interface Replacement {
  /** Settles when the workers are replaced, or cannot be; before the controller is. */
  readonly workers: Promise<void>;
  /** Settles when all of it is over. */
  readonly all: Promise<void>;
}

/** One run, for everybody who asked before it began. */
export interface Run {
  readonly why: string;
  /** The newest that was asked for; `undefined` keeps the present one. */
  readonly config: Config | undefined;
  readonly onWorkers: () => void;
}

/**
 * Lets replacements happen one after the other. Whoever asks while one is under
 * way, which may already be past what he changed, shares the next with all
 * others who wait.
 */
export class ReplacementQueue {
  readonly #replace: (run: Run) => Promise<void>;
  #next: Waiting | undefined;
  #isRunning = false;

  constructor(replace: (run: Run) => Promise<void>) {
    this.#replace = replace;
  }

  ask(why: string, config?: Config): Replacement {
    this.#next ??= new Waiting(why);
    if (config !== undefined) this.#next.config = config;
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
  config: Config | undefined;
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
    // Whoever asked may care for one of them only.
    this.workers.catch(() => undefined);
    this.all.catch(() => undefined);
  }
}
