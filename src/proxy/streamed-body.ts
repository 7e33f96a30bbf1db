import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../core/errors.ts';

// A client that sends less than this in a second has stalled, although it sends.
const WORTHWHILE_BYTES = 16 * 1_024;

/** The client's body broke off while it was streamed. undici would report this as an error of the instance. */
export class BodyBrokeOff extends Error {
  override readonly name = 'BodyBrokeOff';
}

/**
 * A body for one attempt, which undici reads from the client's request while it sends.
 *
 * It has what undici needs of a `Readable`, and no buffer: each piece goes from the request to the connection in one
 * step, and a connection that is full stops the request itself. undici ends what it reads when an attempt ends, so it
 * does not get the request, whose connection the answer still needs.
 */
export class StreamedBody extends EventEmitter {
  destroyed = false;
  readonly #raw: IncomingMessage;
  readonly #maxBytes: number;
  readonly #takeHead: () => Buffer;
  #hasBegun = false;
  #isOver = false;
  #isPaused = false;
  #size = 0;
  /** Since when it has been waiting for the client; `undefined` while it does not. */
  #waitsSince: number | undefined;
  /** How long it had to wait for the last `fresh` bytes, in ms. */
  #waitedMs = 0;
  #fresh = 0;

  /**
   * @param raw paused, or not read yet
   * @param takeHead returns what has been read of it; called once, when it is sent
   */
  constructor(raw: IncomingMessage, takeHead: () => Buffer, maxBytes: number) {
    super();
    this.#raw = raw;
    this.#takeHead = takeHead;
    this.#maxBytes = maxBytes;
  }

  /** True if undici has begun to send it, so that it cannot be sent again. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** For how long it has been waiting for the client to send a worthwhile piece, in ms. */
  stalledMs(now: number): number {
    if (this.#isOver) return 0;
    return this.#waitedMs + (this.#waitsSince === undefined ? 0 : now - this.#waitsSince);
  }

  /** undici recognises a stream by this method, and does not call it. */
  pipe(): never {
    throw new Error('a streamed body is read by its events');
  }

  pause(): this {
    this.#isPaused = true;
    this.#waitsSince = undefined;
    if (!this.#isOver) this.#raw.pause();
    return this;
  }

  /** undici calls it first when it sends, right after the attempt's last check. */
  resume(): this {
    this.#isPaused = false;
    if (this.#isOver) return this;
    if (!this.#hasBegun) this.#begin();
    if (!this.#isPaused && !this.#isOver) {
      this.#waitsSince = performance.now();
      this.#raw.resume();
    }
    return this;
  }

  /** undici calls it at the end of the attempt. The request stays as it is, and paused. */
  destroy(error?: Error): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.#end();
    process.nextTick(() => {
      if (error !== undefined) this.#report(error);
      this.emit('close');
    });
    return this;
  }

  #begin(): void {
    this.#hasBegun = true;
    const raw = this.#raw;
    const head = this.#takeHead();
    raw.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onBreak).on('close', this.#onBreak);
    this.#size = head.length;
    if (head.length > 0) this.emit('data', head);
    // It would emit no more events.
    if (raw.destroyed) process.nextTick(this.#onBreak);
  }

  readonly #onData = (piece: Buffer): void => {
    this.#noteWaited(piece.length);
    this.#size += piece.length;
    if (this.#size > this.#maxBytes) this.#fail(new GatewayError('GW_BODY_TOO_LARGE'));
    else this.emit('data', piece);
  };

  readonly #onEnd = (): void => {
    this.#end();
    this.emit('end');
  };

  readonly #onBreak = (cause?: Error): void => {
    this.#fail(new BodyBrokeOff('the client left while it sent the body', { cause }));
  };

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.destroyed = true;
    this.#end();
    this.#report(error);
    this.emit('close');
  }

  /** An emitter throws an error to which nothing listens. */
  #report(error: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (!this.#hasBegun) return;
    const raw = this.#raw;
    if (!raw.readableEnded) raw.pause();
    raw
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onBreak)
      .off('close', this.#onBreak);
  }

  #noteWaited(bytes: number): void {
    const now = performance.now();
    this.#waitedMs += now - (this.#waitsSince ?? now);
    this.#waitsSince = now;
    this.#fresh += bytes;
    if (this.#fresh < WORTHWHILE_BYTES) return;
    this.#fresh = 0;
    this.#waitedMs = 0;
  }
}
