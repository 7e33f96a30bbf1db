import { Readable } from 'node:stream';
import type { Attempt, InnerHandler } from './attempt.ts';

/** What reply-from reads of undici's answer to a request. The header is not in it, because the attempt has it. */
export interface ReceivedAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** {@link HELD} if the attempt has the whole body. */
  readonly body: Readable | typeof HELD;
}

export type Receive = (error: Error | null, answer?: ReceivedAnswer) => void;

const NO_HEADERS = {};
/** In the place of the stream of a held answer: there is nothing to end. */
export const HELD = { destroy: (): void => {} };
// As undici, and as Node's streams of files.
const HIGH_WATER_MARK = 64 * 1_024;

/**
 * Hands an answer on to reply-from, in the place of undici's handler for `request()`: an answer that is held comes whole,
 * and takes neither a stream nor a parsed header.
 */
export class AnswerReceiver implements InnerHandler {
  readonly #attempt: Attempt;
  #receive: Receive | undefined;
  #abort: (reason?: Error) => void = () => {};
  #stream: AnswerStream | undefined;

  constructor(attempt: Attempt, receive: Receive) {
    this.#attempt = attempt;
    this.#receive = receive;
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort;
  }

  onHeaders(statusCode: number, _headers: Buffer[], resume: () => void): boolean {
    if (statusCode < 200) return true;
    if (this.#attempt.whole === undefined) this.#stream = new AnswerStream(resume, this.#abort);
    const receive = this.#receive;
    this.#receive = undefined;
    receive?.(null, { statusCode, headers: NO_HEADERS, body: this.#stream ?? HELD });
    return true;
  }

  onData(chunk: Buffer): boolean {
    return this.#stream?.push(chunk) ?? true;
  }

  onComplete(): void {
    this.#stream?.push(null);
  }

  onError(error: Error): void {
    const receive = this.#receive;
    this.#receive = undefined;
    // Not while undici's own steps go on.
    if (receive !== undefined) queueMicrotask(() => receive(error));
    else queueMicrotask(() => this.#stream?.destroy(error));
  }
}

/** An answer that is passed on as it comes. If it is left before its end, the attempt is aborted. */
class AnswerStream extends Readable {
  readonly #abort: (reason?: Error) => void;

  constructor(resume: () => void, abort: (reason?: Error) => void) {
    super({ read: resume, highWaterMark: HIGH_WATER_MARK });
    this.#abort = abort;
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error !== null || !this.readableEnded)
      this.#abort(error ?? new Error('the answer was not read to its end'));
    done(error);
  }
}
