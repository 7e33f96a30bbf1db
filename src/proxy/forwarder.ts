import type { IncomingHttpHeaders } from 'node:http';
import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Dispatcher } from 'undici';
import type { Attempt, AttemptOutcome, InnerHandler } from './attempt.ts';
import { responseHeaders, without } from './headers.ts';
import type { RequestContext } from './request-context.ts';
import { StreamedAnswer } from './streamed-answer.ts';

/** Sends an attempt and passes its answer on to the client. */
export interface Forwarder {
  /**
   * Resolves with `answered` when a small response has been passed on, or the beginning of a large one, which then
   * streams. Otherwise resolves with the kind of failure, and nothing has been sent to the client. Rejects if the
   * attempt's outcome does.
   */
  forward(context: RequestContext, attempt: Attempt): Promise<AttemptOutcome>;
}

const ATTEMPT = Symbol('attempt');
type MarkedHeaders = { [ATTEMPT]?: Attempt };

// reply-from gives a callback.
const NEVER = new Promise<never>(() => {});

/** The property under which reply-from's handlers find the context of their request. */
export const REQUEST_CONTEXT = Symbol('request context');
export type Carrier = { [REQUEST_CONTEXT]?: RequestContext };

/** What reply-from reads of undici's answer to a request. The header is not in it, because the attempt has it. */
interface ReceivedAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** {@link HELD} if the attempt has the whole body. */
  readonly body: StreamedAnswer | typeof HELD;
}

type Receive = (error: Error | null, answer?: ReceivedAnswer) => void;

const NO_HEADERS = {};
/** In the place of the stream of a held answer: there is nothing to end. */
const HELD = { destroy: (): void => {} };

/**
 * The dispatcher that reply-from uses. reply-from builds target, header and body in its own way. This class replaces
 * them by those of the attempt, byte for byte as the client sent them, and dispatches to the attempt's instance. What
 * undici's `request()` does with the answer is replaced by an {@link AnswerReceiver}.
 */
class AttemptDispatcher extends Dispatcher {
  override request(...args: unknown[]): Promise<never> {
    const [options, receive] = args as [Dispatcher.DispatchOptions, Receive];
    const attempt = (options.headers as MarkedHeaders)[ATTEMPT];
    if (attempt === undefined) throw new Error('reply-from dispatched a request that has no attempt');
    attempt.dispatch(options, new AnswerReceiver(attempt, receive));
    return NEVER;
  }

  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | undefined {
    callback?.();
    return callback === undefined ? Promise.resolve() : undefined;
  }

  override destroy(...args: unknown[]): Promise<void> {
    const callback = args.at(-1);
    if (typeof callback === 'function') callback();
    return Promise.resolve();
  }
}

/**
 * Hands an answer on to reply-from, in the place of undici's handler for `request()`: an answer that is held comes whole,
 * and takes neither a stream nor a parsed header.
 */
class AnswerReceiver implements InnerHandler {
  readonly #attempt: Attempt;
  #receive: Receive | undefined;
  #abort: (reason?: Error) => void = () => {};
  #stream: StreamedAnswer | undefined;

  constructor(attempt: Attempt, receive: Receive) {
    this.#attempt = attempt;
    this.#receive = receive;
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort;
  }

  onHeaders(statusCode: number, _headers: Buffer[], resume: () => void): boolean {
    if (statusCode < 200) return true;
    if (this.#attempt.whole === undefined) this.#stream = new StreamedAnswer(resume, this.#abort);
    const receive = this.#receive;
    this.#receive = undefined;
    receive?.(null, { statusCode, headers: NO_HEADERS, body: this.#stream ?? HELD });
    return true;
  }

  onData(chunk: Buffer): boolean {
    return this.#stream?.write(chunk) ?? true;
  }

  onComplete(): void {
    this.#stream?.end();
  }

  onError(error: Error): void {
    const receive = this.#receive;
    this.#receive = undefined;
    // Not while undici's own steps go on.
    if (receive !== undefined) queueMicrotask(() => receive(error));
    else this.#stream?.fail();
  }
}

/** Registers reply-from and wraps it in the only method that the gateway uses. */
export async function createForwarder(fastify: FastifyInstance, requestIdHeader: string): Promise<Forwarder> {
  await fastify.register(replyFrom, {
    undici: new AttemptDispatcher(),
    disableRequestLogging: true,
    // Turns off all of reply-from's retries, which could repeat a request that an instance has acted on.
    retryMethods: [],
  });

  // Shared by all requests: with `body: null` reply-from does not modify the object.
  const options = {
    // The attempt has the body.
    body: null,
    // Never used, because the attempt knows the instance. It is constant so that reply-from can cache its URL.
    getUpstream: () => 'http://instance.invalid',
    rewriteRequestHeaders: (request: FastifyRequest) =>
      ({ [ATTEMPT]: contextOf(request).attempt }) as unknown as IncomingHttpHeaders,
    // The response header comes from the attempt instead, byte for byte.
    rewriteHeaders: () => ({}),
    onResponse: (
      request: FastifyRequest,
      reply: FastifyReply,
      response: { statusCode: number; stream: ReceivedAnswer['body'] },
    ) => {
      const context = contextOf(request);
      const { attempt } = context;
      const { statusCode, stream } = response;
      try {
        if (attempt === undefined || attempt.settled) {
          stream.destroy();
          return;
        }
        reply.hijack();
        passOn(context, attempt, statusCode, stream, requestIdHeader);
        attempt.settle('answered');
      } catch (error) {
        // An error thrown from here would be uncaught and end the process.
        stream.destroy();
        attempt?.fail(error);
      }
    },
    onError: (reply: FastifyReply, { error }: { error: Error }) => {
      const { attempt } = contextOf(reply.request);
      attempt?.fail(error.cause ?? error);
    },
  };

  return {
    forward(context, attempt) {
      context.attempt = attempt;
      // The attempt has the path; reply-from would decode and normalise it.
      context.reply.from('/', options as unknown as Parameters<FastifyReply['from']>[1]);
      return attempt.outcome;
    },
  };
}

/**
 * Writes the answer without Fastify. Fastify would set a Content-Type of its own and change the spelling of field
 * names. It would throw halfway through the header if it does not accept a byte.
 */
function passOn(
  context: RequestContext,
  { responseHeaders: raw, whole }: Attempt,
  status: number,
  stream: ReceivedAnswer['body'],
  requestIdHeader: string,
): void {
  const { response } = context;
  const all = responseHeaders(raw, requestIdHeader, context.request.id);
  // RFC 9110 §8.6: a 204 has no length.
  const headers = status === 204 ? without(all, ['content-length']) : all;
  // The instance sent no length, but a held body is complete, so its length is known.
  if (whole !== undefined && whole.length > 0 && !hasLength(headers)) {
    headers.push('content-length', String(whole.length));
  }
  // If the request was not read to its end, the rest must not be taken for the next request.
  context.isLast ||= !context.raw.complete;
  context.prepareAnswer();
  response.writeHead(status, headers);
  if (!(stream instanceof StreamedAnswer)) {
    response.end(whole);
    return;
  }
  // The first event of a stream may be far away.
  response.flushHeaders();
  stream.passTo(response);
}

function hasLength(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if ((headers[i] as string).toLowerCase() === 'content-length') return true;
  }
  return false;
}

function contextOf(request: FastifyRequest): RequestContext {
  const context = (request as unknown as Carrier)[REQUEST_CONTEXT];
  if (context === undefined) throw new Error('reply-from answered a request that has no context');
  return context;
}
