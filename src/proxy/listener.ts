import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import Fastify from 'fastify';
import type { ErrorCode } from '../core/errors.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessLog } from './access-log.ts';
import { ConnectionDrainer } from './connection-drainer.ts';
import type { Carrier, Forwarder } from './forwarder.ts';
import { createForwarder, REQUEST_CONTEXT } from './forwarder.ts';
import type { ProxyHandler } from './handler.ts';
import { isLingering, lingerAtEnd } from './linger.ts';
import { peerAddress } from './peer-address.ts';
import type { ProxyProtocolOptions } from './proxy-protocol-listener.ts';
import { acceptProxyProtocol } from './proxy-protocol-listener.ts';
import { ownAnswer } from './reply-with-fault.ts';
import { RequestContext } from './request-context.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

export interface ListenerOptions {
  readonly tls: TlsOptions | undefined;
  readonly headerBytes: number;
  readonly headers: number;
  readonly connections: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
  /** `undefined` where no balancer speaks the PROXY protocol. */
  readonly proxyProtocol: ProxyProtocolOptions | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly requestIdHeader: string;
  readonly metrics: Metrics;
  readonly recorder: AccessLog;
}

// How often Node looks for clients that send too slowly: the grain of both limits.
const SLOWNESS_CHECK_MS = 500;
// A request id from outside ends up in logs and headers.
const ACCEPTABLE_ID = /^[\w.:@/+=-]{1,128}$/;

export interface Listener {
  readonly fastify: FastifyInstance;
  readonly forwarder: Forwarder;
  readonly ending: ConnectionDrainer;
  /** Given once, before listening: server and forwarder know each other. */
  attach(server: ProxyHandler): void;
}

/**
 * The data plane's HTTP server: limits, and nothing that reads a request. What
 * Fastify would do with one (parse the body, refuse odd media types) must not be
 * done to traffic that is only passed on, so requests are served in `onRequest`.
 */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const fastify = Fastify(serverOptions(options)) as unknown as FastifyInstance;
  const { server } = fastify;
  // First: whatever else follows new connections follows those, too, that have yet to send their header.
  if (options.proxyProtocol !== undefined) acceptProxyProtocol(server, options.proxyProtocol);
  const ending = new ConnectionDrainer(server);
  server.maxConnections = options.connections;
  server.maxHeadersCount = options.headers + 1;
  server.on('drop', () => options.metrics.connectionsDropped.inc());
  server.on('connect', (_request: IncomingMessage, socket: Duplex) =>
    refuseSocket(socket as Socket, 'GW_METHOD_UNSUPPORTED'),
  );

  const forwarder = await createForwarder(fastify, options.requestIdHeader);
  let serve: ProxyHandler | undefined;
  const onRequest = (request: FastifyRequest, reply: FastifyReply): void => {
    // Whatever still comes from a client that was refused is read and dropped.
    if (isLingering(request.raw.socket)) {
      request.raw.resume();
      return;
    }
    // Node hands out pipelined requests at once. Each begins when it is its turn to be answered: in order,
    // and not at all behind one that ends the connection, which may be how it was smuggled in.
    if (reply.raw.socket !== null) begin(request, reply);
    else if (isCrowded(request.raw.socket)) request.raw.socket.destroy();
    else {
      reply.raw.once('socket', (socket: Socket) => {
        ahead.set(socket, (ahead.get(socket) ?? 1) - 1);
        begin(request, reply);
      });
    }
  };
  const begin = (request: FastifyRequest, reply: FastifyReply): void => {
    const context = new RequestContext(request, reply, options.totalTimeoutMs, options.trustedProxies);
    (request as unknown as Carrier)[REQUEST_CONTEXT] = context;
    const response = reply.raw as ServerResponse & Carrier;
    response[REQUEST_CONTEXT] = context;
    response.on('close', onClose);
    if (request.raw.rawHeaders.length / 2 > options.headers) context.tooManyHeaders = true;
    void serve?.serve(context);
  };
  function onClose(this: ServerResponse & Carrier): void {
    const context = this[REQUEST_CONTEXT] as RequestContext;
    context.close();
    options.recorder.ended(context);
    // Its connection may be kept alive by an answer that began before the end was announced.
    if (!server.listening) setImmediate(() => server.closeIdleConnections());
  }

  fastify.addHook('onRequest', onRequest as Parameters<typeof fastify.addHook>[1] as never);
  fastify.all('/*', neverReached);
  fastify.setNotFoundHandler(neverReached);
  return {
    fastify,
    forwarder,
    ending,
    attach(server) {
      serve = server;
    },
  };
}

// Nobody needs to send so many requests ahead of their answers, and Node would take in any number of them.
const MOST_PIPELINED = 32;
/** How many requests of a connection wait for their turn. */
const ahead = new WeakMap<Socket, number>();

/** Counts a request that came before its turn; true where there are too many of them. */
function isCrowded(socket: Socket): boolean {
  const count = (ahead.get(socket) ?? 0) + 1;
  ahead.set(socket, count);
  return count > MOST_PIPELINED;
}

function neverReached(): never {
  throw new Error('a request got past onRequest');
}

function serverOptions(options: ListenerOptions): FastifyServerOptions {
  const { tls } = options;
  const http = {
    maxHeaderSize: options.headerBytes,
    headersTimeout: options.headerTimeoutMs,
    requestTimeout: options.headerTimeoutMs + options.bodyTimeoutMs,
    connectionsCheckingInterval: SLOWNESS_CHECK_MS,
    keepAliveTimeout: options.idleTimeoutMs,
    insecureHTTPParser: false,
    requireHostHeader: false,
    noDelay: true,
  };
  const shared = {
    logger: false,
    // The path is matched by the pools; the router must not judge it.
    rewriteUrl: () => '/',
    exposeHeadRoutes: false,
    genReqId: (request: IncomingMessage) => requestId(request, options),
    requestIdHeader: false as const,
    requestTimeout: http.requestTimeout,
    keepAliveTimeout: options.idleTimeoutMs,
    clientErrorHandler: onClientError,
    forceCloseConnections: 'idle' as const,
    // What still comes on an open connection is served, not refused in Fastify's own words.
    return503OnClosing: false,
  };
  if (tls === undefined) return { ...shared, http } as unknown as FastifyServerOptions;
  return {
    ...shared,
    https: { ...http, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: options.headerTimeoutMs },
  } as unknown as FastifyServerOptions;
}

function requestId(request: IncomingMessage, options: ListenerOptions): string {
  const given = request.headers[options.requestIdHeader];
  if (typeof given === 'string' && ACCEPTABLE_ID.test(given)) {
    if (options.trustedProxies.includes(peerAddress(request.socket))) return given;
  }
  return randomUUID();
}

interface ParserError extends Error {
  readonly code?: string;
  /** The parser's own words. */
  readonly reason?: string;
}

type Connection = Socket & { _httpMessage?: (ServerResponse & Carrier) | null };

/** What the parser refused, or what took too long. Nothing that comes after it on the connection can be trusted. */
function onClientError(error: ParserError, connection: Duplex): void {
  const socket = connection as Connection;
  // The parser says it again for every piece that comes after.
  if (isLingering(socket) && error.code !== 'ECONNRESET') return;
  const pending = socket._httpMessage;
  const context = pending?.[REQUEST_CONTEXT];
  // Ended in the middle of a body: whoever sent it has left.
  const hasLeft = error.code === 'HPE_INVALID_EOF_STATE' && pending?.req.complete === false;
  if (error.code === 'ECONNRESET' || hasLeft || !socket.writable) {
    socket.destroy();
    return;
  }
  if (pending === undefined || pending === null) {
    refuseSocket(socket, codeOf(error));
  } else if (!pending.req.complete && context !== undefined) {
    context.abandon(codeOf(error));
  } else {
    // The request before it was complete: it gets its own answer, and that is the last one.
    pending.shouldKeepAlive = false;
    pending.once('finish', () => socket.destroySoon());
  }
}

function codeOf(error: ParserError): ErrorCode {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'GW_HEADER_TOO_LARGE';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'GW_REQUEST_TIMEOUT';
    case 'HPE_INVALID_VERSION':
      // A version, though none that is spoken here; other reasons tell of what is no version at all.
      return error.reason === 'Invalid HTTP version' ? 'GW_VERSION_UNSUPPORTED' : 'GW_REQUEST_MALFORMED';
    default:
      return 'GW_REQUEST_MALFORMED';
  }
}

/** There is no request, so the answer is a line of text and the end of the connection. */
function refuseSocket(socket: Socket, code: ErrorCode): void {
  const answer = ownAnswer(code, undefined, randomUUID(), 'exact');
  const body = Buffer.from(answer.body);
  lingerAtEnd(socket);
  socket.write(
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\ncontent-type: ${answer.contentType}\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${answer.body}`,
  );
  socket.destroySoon();
}
