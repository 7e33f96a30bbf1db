import type { Dispatcher } from 'undici';
import { errors } from 'undici';
import { GatewayError } from '../core/errors.ts';
import type { FailureKind } from '../core/failure.ts';
import type { Target } from '../core/target.ts';
import type { AnswerHeads } from './headers.ts';
import { answerKind } from './headers.ts';
import { NotRelayed, RelayFailed } from './relay-outcome.ts';
import { StreamPacer } from './stream-pacer.ts';
import type { StreamedBody } from './streamed-body.ts';
import { BodyBrokeOff } from './streamed-body.ts';
import { streams } from './streams.ts';
import type { AwaitsHead, Upstream } from './upstream.ts';
import type { Sender } from './upstream-options.ts';

export type AttemptOutcome = 'answered' | FailureKind;

/** What an attempt sends. */
export interface AttemptRequest {
  readonly path: string;
  readonly headers: string[];
  readonly body: Buffer | StreamedBody | null;
  /** The instance, and the binding that leads to it. */
  readonly target: Target;
  /** Called right before the first byte: may the request still go to this instance? */
  maySend(): boolean;
  /** Called right before the answer is passed on: is the client still there? */
  isAwaited(): boolean;
  readonly sender: Sender;
  /** Sends the request through a peer; without it, it goes over a connection of this gateway. */
  readonly relay?: ((method: string, headers: string[], handler: InnerHandler) => void) | undefined;
}

// Answers up to this size are held until they are complete; nearly all of ICI's are that small. They go out in one
// write. If such an answer breaks off, the client gets a Fault instead of a broken connection.
const HELD_BYTES = 64 * 1_024;

// After its instance is lost, an answer that has begun may stall for this long.
const LOST_IDLE_MS = 1_000;

/** All streams of this process share its event loop. */
const pacer = new StreamPacer();

// undici uses the last one for contradicting lengths in a header.
const JUNK = [errors.HTTPParserError, errors.HeadersOverflowError, errors.ResponseContentLengthMismatchError];

/** The header, as undici delivered it, of a response that is held until it is complete. */
interface HeldHeader {
  readonly statusCode: number;
  readonly headers: Buffer[];
  readonly resume: () => void;
  readonly statusText: string;
}

/** The callbacks of undici 7 that an attempt implements, and what gets the answer from it. */
export interface InnerHandler {
  onConnect(abort: (reason?: Error) => void, context?: object): void;
  onHeaders(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean;
  onData(chunk: Buffer): boolean;
  onComplete(trailers: string[] | null): void;
  onError(error: Error): void;
}

/**
 * One attempt to send one request to one instance.
 *
 * It sits between undici and reply-from's handler, so it knows what error codes cannot tell: whether a byte was handed
 * to a connection. undici calls {@link onConnect} synchronously before it writes, and does not write a request that is
 * aborted there.
 */
export class Attempt implements InnerHandler, AwaitsHead {
  /** Rejects with a {@link GatewayError} if the request itself is at fault, because its streamed body is too large. */
  readonly outcome: Promise<AttemptOutcome>;
  readonly request: AttemptRequest;
  readonly upstream: Upstream;
  place = -1;
  heads: AnswerHeads | undefined;
  /** When sending began, in monotonic ms. `undefined` proves that nothing was sent. */
  sentAt: number | undefined;
  /** When the response header arrived, in monotonic ms. */
  headerAt: number | undefined;
  responseBytes = 0;
  /** Names and values of the response's fields alternating, byte for byte as received. */
  responseHeaders: readonly Buffer[] = [];
  /** The complete body of the response, if it was small enough to be held. */
  whole: Buffer | undefined;
  /** True if the request may no longer go to the instance. Nothing was sent, and the instance is not to blame. */
  withdrawn = false;
  /** True if the response began and broke off. */
  brokeOff = false;
  #resolve: (outcome: AttemptOutcome) => void = () => {};
  #reject: (error: GatewayError) => void = () => {};
  #settled = false;
  /** A peer took it and did not send it. */
  #wasNotRelayed = false;
  #cancelledAs: FailureKind | undefined;
  #inner: InnerHandler | undefined;
  #abort: ((reason?: Error) => void) | undefined;
  #over = false;
  /** Its body or its answer is passed on as it comes. */
  #streams = false;
  #held: HeldHeader | undefined;
  #chunks: Buffer[] = [];
  /** The connections to which it was dispatched. */
  #connections: object | undefined;
  /** Runs while the answer arrives from a lost instance; fires when it stalls. */
  #stallTimer: NodeJS.Timeout | undefined;
  /** Since when the client does not take what has arrived; `undefined` while it does. */
  #pausedAt: number | undefined;
  #resumeAnswer: (() => void) | undefined;
  /** The client takes what arrives, but other streams come first. */
  #isPaced = false;

  constructor(upstream: Upstream, request: AttemptRequest) {
    this.upstream = upstream;
    this.request = request;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The instance has certainly got no byte of it. */
  get isUnsent(): boolean {
    return this.sentAt === undefined || this.#wasNotRelayed;
  }

  get settled(): boolean {
    return this.#settled;
  }

  settle(outcome: AttemptOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#resolve(outcome);
  }

  /** Settles with the failure that the error means. */
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

  /** Ends the attempt at any stage. */
  cancel(as: FailureKind): void {
    if (this.#over) return;
    this.#cancelledAs ??= this.sentAt === undefined && as !== 'client-aborted' ? 'connect-failure' : as;
    this.settle(this.#cancelledAs);
    this.#abort?.(new Error('withdrawn by the gateway'));
  }

  /** To be called when the instance is lost. Resets the connection, unless an answer has begun, which may finish. */
  giveUp(): void {
    // The peer gives it up itself, because it acts on the same views, and says so.
    if (this.#over || this.sentAt === undefined || this.request.relay !== undefined) return;
    if (this.headerAt === undefined) this.cancel('instance-lost');
    else this.#stallTimer ??= setTimeout(() => this.#onStall(), LOST_IDLE_MS);
  }

  /** For how long the client has not taken what has arrived of the answer, in ms. */
  unreadMs(now: number): number {
    return this.#over || this.#pausedAt === undefined ? 0 : now - this.#pausedAt;
  }

  /** Hands the request to undici. `inner` gets the response. */
  dispatch(options: Dispatcher.DispatchOptions, inner: InnerHandler): boolean {
    const { request, upstream } = this;
    this.#connections = upstream.connections;
    this.#inner = inner;
    if (request.relay !== undefined) {
      request.relay(options.method, request.headers, this);
      return true;
    }
    options.origin = upstream.origin;
    options.path = request.path;
    options.headers = request.headers;
    // undici needs less of a stream than its types say.
    options.body = request.body as Buffer | null;
    if (upstream.closeAfterEach) options.reset = true;
    // Constant, so that undici keeps its TLS connections although the Host header differs between requests.
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
    this.heads?.expect();
    this.sentAt = performance.now();
    this.upstream.sent(this.sentAt);
    this.upstream.begin(this);
    if (this.request.body !== null && !Buffer.isBuffer(this.request.body)) this.#stream();
    this.#inner?.onConnect(abort, context);
  }

  onHeaders(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    if (statusCode < 200) return this.#inner?.onHeaders(statusCode, headers, resume, statusText) ?? true;
    this.headerAt = performance.now();
    this.upstream.headerEnded(this.headerAt, true);
    this.responseHeaders = headers;
    const kind = answerKind(headers);
    if (kind === 'unreadable') {
      this.cancel('junk-response');
      return false;
    }
    this.#held = { statusCode, headers, resume, statusText };
    this.#resumeAnswer = resume;
    return kind === 'events' ? this.#release() : true;
  }

  onData(chunk: Buffer): boolean {
    this.responseBytes += chunk.length;
    this.#stallTimer?.refresh();
    if (this.#held !== undefined) {
      this.#chunks.push(chunk);
      if (this.responseBytes <= HELD_BYTES) return true;
    }
    const flowing = this.#held === undefined ? (this.#inner?.onData(chunk) ?? true) : this.#release();
    this.#pausedAt = flowing ? undefined : performance.now();
    return flowing && this.#keepPace(chunk.length);
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
    const status = this.#held?.statusCode;
    const hasNoBody = status === 204 || status === 304;
    if (hasNoBody && error instanceof errors.ResponseContentLengthMismatchError) {
      // Such an answer ends with its header, whatever length that states (RFC 9112 §6.3), but undici waits for a body.
      this.onComplete([]);
      return;
    }
    if (this.headerAt !== undefined && this.#cancelledAs === undefined) this.brokeOff = true;
    this.#chunks = [];
    this.#end();
    this.#inner?.onError(error);
  }

  /** Passes on what was held, and from now on streams. Returns false if the client is slower than the instance. */
  #release(): boolean {
    // If the client has left, reply-from would emit an error event that has no listener.
    if (!this.request.isAwaited()) {
      this.settle('client-aborted');
      this.cancel('client-aborted');
      return false;
    }
    const held = this.#held as HeldHeader;
    const chunks = this.#chunks;
    this.#held = undefined;
    this.#chunks = [];
    const isWhole = this.whole !== undefined;
    const resume = isWhole ? held.resume : () => this.#resume();
    if (!isWhole) this.#stream();
    let flowing = this.#inner?.onHeaders(held.statusCode, held.headers, resume, held.statusText) ?? true;
    for (const chunk of chunks) flowing = this.#inner?.onData(chunk) ?? true;
    return flowing;
  }

  #stream(): void {
    if (this.#streams || this.#over) return;
    this.#streams = true;
    streams.begin();
  }

  /** The client takes more. */
  #resume(): void {
    this.#pausedAt = undefined;
    if (!this.#isPaced) this.#resumeAnswer?.();
  }

  #keepPace(bytes: number): boolean {
    this.#isPaced = !pacer.pass(bytes, () => {
      this.#isPaced = false;
      this.#resumeAnswer?.();
    });
    return !this.#isPaced;
  }

  /** Classifies an error by the state of the attempt first, and only then by the kind of error. */
  #classify(error: unknown): FailureKind {
    if (this.#cancelledAs !== undefined) return this.#cancelledAs;
    if (this.sentAt === undefined) {
      return error instanceof errors.InvalidArgumentError ? 'unsendable' : 'connect-failure';
    }
    this.#wasNotRelayed = error instanceof NotRelayed;
    if (this.#wasNotRelayed) return 'connect-failure';
    if (error instanceof RelayFailed) return error.kind;
    if (error instanceof BodyBrokeOff) return 'client-aborted';
    if (error instanceof errors.HeadersTimeoutError) return 'response-timeout';
    // If a body becomes invalid HTTP, it counts as broken off.
    if (this.brokeOff) return 'response-aborted';
    if (JUNK.some((junk) => error instanceof junk)) return 'junk-response';
    return this.headerAt === undefined ? 'empty-response' : 'junk-response';
  }

  #maySend(): boolean {
    const { request, upstream } = this;
    return (
      request.maySend() && (request.relay !== undefined || upstream.isCurrent(this.#connections as object))
    );
  }

  #onStall(): void {
    // While paused, the client is the one that stalls. While paced, this process takes nothing.
    if (this.#pausedAt !== undefined || this.#isPaced) this.#stallTimer?.refresh();
    else this.#abort?.(new errors.BodyTimeoutError());
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#streams) streams.end();
    clearTimeout(this.#stallTimer);
    this.upstream.end(this);
    if (this.sentAt !== undefined && this.headerAt === undefined) {
      this.upstream.headerEnded(performance.now(), false);
    }
    this.upstream.leave(this.request.sender.network);
  }
}
