import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Dispatcher } from 'undici';
import type { Attempt, AttemptOutcome } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import { stripResponseHeaders } from './headers.ts';

/** Sends one attempt and passes its answer on to the client. */
export interface Forwarder {
  /**
   * Resolves with `answered` once the response is passed on: a small one as a
   * whole, of a large one the beginning, while the rest streams by itself. Else
   * with the kind of failure; the client has then been told nothing. Never rejects.
   */
  forward(exchange: Exchange, attempt: Attempt): Promise<AttemptOutcome>;
}

const ATTEMPT = Symbol('attempt');
type MarkedHeaders = { [ATTEMPT]?: Attempt };

/** Where a handler of reply-from finds the exchange that it works for. */
export const EXCHANGE = Symbol('exchange');
export type Carrier = { [EXCHANGE]?: Exchange };

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
export async function createForwarder(
  fastify: FastifyInstance,
  onResponseHeaders: (exchange: Exchange, headers: IncomingHttpHeaders) => void,
): Promise<Forwarder> {
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
      ({ [ATTEMPT]: exchangeOf(request).attempt }) as unknown as IncomingHttpHeaders,
    rewriteHeaders: (headers: IncomingHttpHeaders, request: FastifyRequest) => {
      const kept = stripResponseHeaders(headers);
      onResponseHeaders(exchangeOf(request), kept);
      return kept;
    },
    onResponse: (
      request: FastifyRequest,
      reply: FastifyReply,
      response: { stream: NodeJS.ReadableStream },
    ) => {
      const { attempt } = exchangeOf(request);
      if (attempt === undefined || attempt.settled) {
        (response.stream as unknown as { destroy(): void }).destroy();
        return;
      }
      attempt.settle('answered');
      if (attempt.whole === undefined) reply.send(response.stream);
      else sendWhole(reply, attempt.whole);
    },
    onError: (reply: FastifyReply, { error }: { error: Error }) => {
      const { attempt } = exchangeOf(reply.request);
      attempt?.settle(attempt.classify(error.cause ?? error));
    },
  };

  return {
    forward(exchange, attempt) {
      exchange.attempt = attempt;
      // The path is the attempt's business; with the real one reply-from would decode and normalise it.
      exchange.reply.from('/', options as unknown as Parameters<FastifyReply['from']>[1]);
      return attempt.outcome;
    },
  };
}

/** Past Fastify, which would give a response without a Content-Type one of its own. */
function sendWhole(reply: FastifyReply, body: Buffer): void {
  const headers = reply.getHeaders() as OutgoingHttpHeaders;
  // It came in chunks or up to the end of the connection; its length is known by now.
  if (body.length > 0) headers['content-length'] ??= body.length;
  reply.hijack();
  reply.raw.writeHead(reply.statusCode, headers);
  reply.raw.end(body);
}

function exchangeOf(request: FastifyRequest): Exchange {
  const exchange = (request as unknown as Carrier)[EXCHANGE];
  if (exchange === undefined) throw new Error('a request came without its exchange');
  return exchange;
}
