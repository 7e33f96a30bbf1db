import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Dispatcher } from 'undici';
import type { Attempt, AttemptOutcome } from './attempt.ts';
import { responseHeaders } from './headers.ts';
import type { RequestContext } from './request-context.ts';

/** Sends one attempt and passes its answer on to the client. */
export interface Forwarder {
  /**
   * Resolves with `answered` once the response is passed on: a small one as a
   * whole, of a large one the beginning, while the rest streams by itself. Else
   * with the kind of failure; the client has then been told nothing. Rejects where
   * the attempt's outcome does.
   */
  forward(context: RequestContext, attempt: Attempt): Promise<AttemptOutcome>;
}

const ATTEMPT = Symbol('attempt');
type MarkedHeaders = { [ATTEMPT]?: Attempt };

/** Where a handler of reply-from finds the request that it works for. */
export const REQUEST_CONTEXT = Symbol('request context');
export type Carrier = { [REQUEST_CONTEXT]?: RequestContext };

/**
 * reply-from's way into undici. reply-from makes a request of its own idea of
 * target, header and body; here the attempt's take their place, byte by byte as
 * the client sent them, and go to the attempt's own instance.
 */
class AttemptDispatcher extends Dispatcher {
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const attempt = (options.headers as MarkedHeaders)[ATTEMPT];
    if (attempt === undefined) throw new Error('a request came without its attempt');
    return attempt.dispatch(options, handler);
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

/** Registers reply-from and returns it behind the one method that the gateway uses. */
export async function createForwarder(fastify: FastifyInstance, requestIdHeader: string): Promise<Forwarder> {
  await fastify.register(replyFrom, {
    undici: new AttemptDispatcher(),
    disableRequestLogging: true,
    // Its own retries would send again what may have been acted on; this alone turns all of them off.
    retryMethods: [],
  });

  // Shared by all requests: with `body: null` reply-from changes none of it.
  const options = {
    // The attempt brings the body.
    body: null,
    // Never dialled; the attempt knows the instance. Constant, so that its cached URL is as well.
    getUpstream: () => 'http://instance.invalid',
    rewriteRequestHeaders: (request: FastifyRequest) =>
      ({ [ATTEMPT]: contextOf(request).attempt }) as unknown as IncomingHttpHeaders,
    // Taken from the attempt instead, byte for byte.
    rewriteHeaders: () => ({}),
    onResponse: (
      request: FastifyRequest,
      reply: FastifyReply,
      response: { statusCode: number; stream: Readable },
    ) => {
      const context = contextOf(request);
      const { attempt } = context;
      response.stream.on('error', ignore);
      try {
        if (attempt === undefined || attempt.settled) {
          response.stream.destroy();
          return;
        }
        reply.hijack();
        passOn(context, attempt, response.statusCode, response.stream, requestIdHeader);
        attempt.settle('answered');
      } catch (error) {
        // Thrown from here it would be an uncaught exception, and the end of the process.
        response.stream.destroy();
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
      // The path is the attempt's business; with the real one reply-from would decode and normalise it.
      context.reply.from('/', options as unknown as Parameters<FastifyReply['from']>[1]);
      return attempt.outcome;
    },
  };
}

/**
 * Writes the answer past Fastify, which would give it a Content-Type of its own,
 * change the spelling of its fields and throw in mid-header at bytes that it does not like.
 */
function passOn(
  context: RequestContext,
  { responseHeaders: raw, whole }: Attempt,
  status: number,
  stream: Readable,
  requestIdHeader: string,
): void {
  const { response } = context;
  const headers = responseHeaders(raw, requestIdHeader, context.request.id);
  // It came in chunks or up to the end of the connection; its length is known by now.
  if (whole !== undefined && whole.length > 0 && !hasLength(headers)) {
    headers.push('content-length', String(whole.length));
  }
  // Answered before the whole request was read: the rest must not be taken for the next one.
  if (!context.raw.complete) headers.push('connection', 'close');
  context.prepareAnswer();
  response.writeHead(status, headers);
  if (whole === undefined) pipeline(stream, response, ignore);
  else response.end(whole);
}

function hasLength(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if ((headers[i] as string).toLowerCase() === 'content-length') return true;
  }
  return false;
}

function ignore(): void {}

function contextOf(request: FastifyRequest): RequestContext {
  const context = (request as unknown as Carrier)[REQUEST_CONTEXT];
  if (context === undefined) throw new Error('a request came without its context');
  return context;
}
