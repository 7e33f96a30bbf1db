import { ActRefused } from './act-refused.ts';

const MOST_RUNNING = 2;
const MOST_WAITING = 20;

/** Does few long pieces of work at once, so that many requests for them do not take all time of this host and the store. */
export class FewAtOnce {
  readonly #what: string;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param what completes "too many …", for those who are refused */
  constructor(what: string) {
    this.#what = what;
  }

  /** @throws ActRefused if too many wait already */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < MOST_RUNNING) this.#running += 1;
    else if (this.#waiting.length < MOST_WAITING) await this.#turn();
    else throw new ActRefused(429, `too many ${this.#what} at once; try again in a few seconds`);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
