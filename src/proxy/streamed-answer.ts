import type { ServerResponse } from 'node:http';

// A piece is larger than what Node's connections take without asking for a pause, and nearly all of them are on their way
// before the next one comes. Only a client that is slower has this much waiting for it.
const WAITING_BYTES = 128 * 1_024;

/**
 * An answer that is passed on as it comes: each piece goes from undici to the client's connection in one step, without a
 * stream in between. If the answer is left before its end, the attempt is aborted.
 */
export class StreamedAnswer {
  readonly #resume: () => void;
  readonly #abort: (reason?: Error) => void;
  #response: ServerResponse | undefined;
  #isPaused = false;
  #isOver = false;

  constructor(resume: () => void, abort: (reason?: Error) => void) {
    this.#resume = resume;
    this.#abort = abort;
  }

  /** Where the body goes. The header must have been written. */
  passTo(response: ServerResponse): void {
    this.#response = response;
    response.on('drain', () => this.#onDrain()).on('error', ignore);
  }

  /** Returns false if the instance has to wait for the client. */
  write(piece: Buffer): boolean {
    const response = this.#response;
    // A client that has left aborts the attempt.
    if (response === undefined || response.destroyed) return false;
    this.#isPaused = !response.write(piece) && response.writableLength > WAITING_BYTES;
    return !this.#isPaused;
  }

  end(): void {
    this.#isOver = true;
    this.#response?.end();
  }

  /** The answer broke off. The client must not take what it has for a whole one. */
  fail(): void {
    this.#isOver = true;
    this.#response?.destroy();
  }

  /** The answer is not wanted. */
  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#abort(new Error('the answer was not read to its end'));
  }

  #onDrain(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#resume();
  }
}

function ignore(): void {}
