import type { Dispatcher } from 'undici';
import { errors } from 'undici';
import { GatewayError } from '../core/errors.ts';
import type { FailureKind } from '../core/failure.ts';
import type { Target } from '../core/target.ts';
import { BodyBrokeOff } from './request-body.ts';
import type { Upstream } from './upstream.ts';

export type AttemptOutcome = 'answered' | FailureKind;

/** What an attempt sends. */
export interface AttemptRequest {
  readonly path: string;
  readonly headers: string[];
  readonly body: Buffer | AsyncIterable<Buffer> | null;
  /** Why it goes to the instance. */
  readonly target: Target;
  /** Asked right before the first byte: may it still go to this instance? */
  maySend(): boolean;
  /** Asked right before the answer is passed on: is there still a client to take it? */
  isAwaited(): boolean;
}

// Answers up to this size are passed on once they are whole: nearly all of ICI's are. One that breaks off
// before can then be answered with a Fault instead of a broken connection, and goes out in one write.
const HELD_BYTES = 64 * 1_024;

// How long an answer that has begun may make no progress once its instance is lost.
const LOST_IDLE_MS = 1_000;

// The last is what undici calls contradicting lengths in a header.
const JUNK = [errors.HTTPParserError, errors.HeadersOverflowError, errors.ResponseContentLengthMismatchError];

/** The header of a response that is held until it is whole, as undici gave it. */
interface HeldHeader {
  readonly statusCode: number;
  readonly headers: Buffer[];
  readonly resume: () => void;
  readonly statusText: string;
}

/** undici's callbacks of version 7, the ones that reply-from's own request handler has. */
interface InnerHandler {
  onConnect(abort: (reason?: Error) => void, context: object): void;
  onHeaders(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean;
  onData(chunk: Buffer): boolean;
  onComplete(trailers: string[] | null): void;
  onError(error: Error): void;
}

/**
 * One try at one instance for one request. Sits between undici and reply-from's
 * handler, and so knows exactly what error codes cannot tell: whether a byte
 * was handed to a connection. undici calls {@link onConnect} synchronously
 * before it writes, and a request that is aborted there is not written.
 */
export class Attempt implements InnerHandler {
  /** Rejects with a {@link GatewayError} where the request itself was at fault after all: its streamed body grew too large. */
  readonly outcome: Promise<AttemptOutcome>;
  readonly request: AttemptRequest;
  readonly upstream: Upstream;
  /** Monotonic ms; `undefined` as long as nothing was sent: the proof. */
  sentAt: number | undefined;
  /** Monotonic ms at which the response header came. */
  headerAt: number | undefined;
  responseBytes = 0;
  /** Names and values of the response's fields in turn, byte for byte as they came. */
  responseHeaders: readonly Buffer[] = [];
  /** The whole body of the response, where it was small enough to be held. */
  whole: Buffer | undefined;
  /** Set where it may not go to the instance any more: nothing was sent, and nothing speaks against the instance. */
  withdrawn = false;
  /** Set where the response began and broke off. */
  brokeOff = false;
  #resolve: (outcome: AttemptOutcome) => void = () => {};
  #reject: (error: GatewayError) => void = () => {};
  #settled = false;
  #cancelledAs: FailureKind | undefined;
  #inner: InnerHandler | undefined;
  #abort: ((reason?: Error) => void) | undefined;
  #over = false;
  #held: HeldHeader | undefined;
  #chunks: Buffer[] = [];
  /** The connections that it was dispatched to. */
  #connections: object | undefined;
  /** Runs while the instance is lost and the answer has begun. */
  #patience: NodeJS.Timeout | undefined;
  /** The client takes the answer more slowly than it comes. */
  #isPaused = false;

  constructor(upstream: Upstream, request: AttemptRequest) {
    this.upstream = upstream;
    this.request = request;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  settle(outcome: AttemptOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#resolve(outcome);
  }

  /** Settles by what an error of this attempt means. */
  fail(error: unknown): void {
    if (this.#settled) return;
    const isOfRequest =
      error instanceof GatewayError && this.#cancelledAs === undefined && this.sentAt !== undefined;
    if (!isOfRequest) {
      this.settle(this.#classify(error));
      return;
    }
    this.#settled = true;
    this.#reject(error);
  }

  /** Ends the attempt from our side, at whatever stage it is. */
  cancel(as: FailureKind): void {
    if (this.#over) return;
    this.#cancelledAs ??= this.sentAt === undefined && as !== 'client-aborted' ? 'connect-failure' : as;
    this.settle(this.#cancelledAs);
    this.#abort?.(new Error('withdrawn by the gateway'));
  }

  /** Its instance is lost: without an answer it ends now, and its connection is reset. One that has begun may finish. */
  giveUp(): void {
    if (this.#over || this.sentAt === undefined) return;
    if (this.headerAt === undefined) this.cancel('instance-lost');
    else this.#patience ??= setTimeout(() => this.#losePatience(), LOST_IDLE_MS);
  }

  /** Makes undici send it. `inner` gets the response. */
  dispatch(options: Dispatcher.DispatchOptions, inner: Dispatcher.DispatchHandler): boolean {
    const { request, upstream } = this;
    this.#connections = upstream.connections;
    this.#inner = inner as unknown as InnerHandler;
    options.origin = upstream.origin;
    options.path = request.path;
    options.headers = request.headers;
    // undici sends any async iterable; its types name streams only.
    options.body = request.body as Buffer | null;
    if (upstream.closeAfterEach) options.reset = true;
    // Constant, so that undici keeps its TLS connections whatever Host the requests bear.
    (options as { servername?: string }).servername = upstream.authority;
    return upstream.dispatch(options, this as unknown as Dispatcher.DispatchHandler);
  }

  onConnect(abort: (reason?: Error) => void, context: object): void {
    this.withdrawn = this.#cancelledAs === undefined && !this.#maySend();
    if (this.#cancelledAs !== undefined || this.withdrawn) {
      abort(new Error('withdrawn by the gateway'));
      return;
    }
    this.#abort = abort;
    this.sentAt = performance.now();
    this.upstream.sent(this.sentAt);
    this.upstream.attempts.add(this);
    this.#inner?.onConnect(abort, context);
  }

  onHeaders(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    if (statusCode < 200) return this.#inner?.onHeaders(statusCode, headers, resume, statusText) ?? true;
    this.headerAt = performance.now();
    this.upstream.headerEnded(this.headerAt, true);
    this.responseHeaders = headers;
    this.#held = { statusCode, headers, resume, statusText };
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.responseBytes += chunk.length;
    this.#patience?.refresh();
    const flowing = this.#take(chunk);
    this.#isPaused = !flowing;
    return flowing;
  }

  onComplete(trailers: string[] | null): void {
    this.#end();
    if (this.#held !== undefined) {
      this.whole = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
      this.#chunks = [];
      this.#release();
    }
    if (this.#held === undefined) this.#inner?.onComplete(trailers);
  }

  onError(error: Error): void {
    if (this.#held?.statusCode === 304 && error instanceof errors.ResponseContentLengthMismatchError) {
      // Its Content-Length is that of what was not sent (RFC 9110 §8.6), which undici waits for in vain.
      this.onComplete([]);
      return;
    }
    if (this.headerAt !== undefined && this.#cancelledAs === undefined) this.brokeOff = true;
    this.#chunks = [];
    this.#end();
    this.#inner?.onError(error);
  }

  /** Passes on what was held, and from now on everything as it comes. Returns false where the client is slower. */
  #release(): boolean {
    // reply-from would drop the response through an error event that has no listener.
    if (!this.request.isAwaited()) {
      this.settle('client-aborted');
      this.cancel('client-aborted');
      return false;
    }
    const held = this.#held as HeldHeader;
    const chunks = this.#chunks;
    this.#held = undefined;
    this.#chunks = [];
    let flowing = this.#inner?.onHeaders(held.statusCode, held.headers, held.resume, held.statusText) ?? true;
    for (const chunk of chunks) flowing = this.#inner?.onData(chunk) ?? true;
    return flowing;
  }

  /** By what is known of the attempt, and only then by what the error is called. */
  #classify(error: unknown): FailureKind {
    if (this.#cancelledAs !== undefined) return this.#cancelledAs;
    if (this.sentAt === undefined) {
      return error instanceof errors.InvalidArgumentError ? 'unsendable' : 'connect-failure';
    }
    if (error instanceof BodyBrokeOff) return 'client-aborted';
    if (error instanceof errors.HeadersTimeoutError) return 'response-timeout';
    // A body that stops being HTTP is one that breaks off.
    if (this.brokeOff) return 'response-aborted';
    if (JUNK.some((junk) => error instanceof junk)) return 'junk-response';
    return this.headerAt === undefined ? 'empty-response' : 'junk-response';
  }

  #take(chunk: Buffer): boolean {
    if (this.#held === undefined) return this.#inner?.onData(chunk) ?? true;
    this.#chunks.push(chunk);
    return this.responseBytes <= HELD_BYTES || this.#release();
  }

  #maySend(): boolean {
    return this.request.maySend() && this.upstream.isCurrent(this.#connections as object);
  }

  #losePatience(): void {
    // It is the client that makes no progress.
    if (this.#isPaused) this.#patience?.refresh();
    else this.#abort?.(new errors.BodyTimeoutError());
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#patience);
    this.upstream.attempts.delete(this);
    if (this.sentAt !== undefined && this.headerAt === undefined) {
      this.upstream.headerEnded(performance.now(), false);
    }
    this.upstream.leave();
  }
}
