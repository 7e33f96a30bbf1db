import type { Logger } from '../telemetry/logger.ts';

/** The parts of a process that must be closed, in the order in which they were opened. */
export class Opened {
  readonly #logger: Logger;
  readonly #closers: (() => unknown)[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** Closes the last part first. Never rejects: if one part fails to close, the others close all the same. */
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
