import type { Logger } from '../telemetry/logger.ts';

/** What was opened in a process, in order. */
export class Opened {
  readonly #logger: Logger;
  readonly #closers: (() => unknown)[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** Closes the last first. Never rejects: one that cannot be closed keeps none of the others open. */
  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        this.#logger.error({ err: error }, 'could not close a part');
      }
    }
  }
}
