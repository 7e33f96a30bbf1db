import type { IncomingHttpHeaders } from 'node:http';
import replyFrom from '@fastify/reply-from';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Dispatcher } from 'undici';
import type { Attempt, AttemptOutcome } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import { stripResponseHeaders } from './headers.ts';

/** Sends one attempt and passes its answer on to the client. */
export interface Forwarder {
  /**
   * Resolves with `answered` as soon as the response header has been passed on
   * (the body then streams by itself), else with the kind of failure; the client
   * has then been told nothing. Never rejects.
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
      reply.send(response.stream);
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

function exchangeOf(request: FastifyRequest): Exchange {
  const exchange = (request as unknown as Carrier)[EXCHANGE];
  if (exchange === undefined) throw new Error('a request came without its exchange');
  return exchange;
}
