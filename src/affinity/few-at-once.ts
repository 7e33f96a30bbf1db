import { ActRefused } from '../core/act-refused.ts';

const MOST_RUNNING = 2;
const MOST_WAITING = 20;

/** Runs few long reads at once, so that many requests for them do not take all time of this process and the store. */
export class FewAtOnce {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @throws ActRefused if too many wait already */
  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.#running < MOST_RUNNING) this.#running += 1;
    else if (this.#waiting.length < MOST_WAITING) await this.#turn();
    else throw new ActRefused(429, 'too many lists are read at once; try again in a few seconds');
    try {
      return await read();
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
