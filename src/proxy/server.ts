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
import { ClientConnection } from './client-connection.ts';
import { ConnectionDrainer } from './connection-drainer.ts';
import type { Carrier, Forwarder } from './forwarder.ts';
import { createForwarder, REQUEST_CONTEXT } from './forwarder.ts';
import type { ProxyHandler } from './handler.ts';
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
  /** `undefined` if no balancer uses the PROXY protocol. */
  readonly proxyProtocol: ProxyProtocolOptions | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly requestIdHeader: string;
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
}

// How often Node checks for clients that send too slowly. This is the precision of both time-outs.
const SLOWNESS_CHECK_MS = 500;
// A client's request id goes to logs and headers, so only harmless characters are accepted.
const ACCEPTABLE_ID = /^[\w.:@/+=-]{1,128}$/;

/** The facts of a connection, kept in its socket: a `WeakMap` would keep them until the old generation is collected. */
const CONNECTION = Symbol('connection');
type Named = Socket & { [CONNECTION]?: ClientConnection };

export interface Listener {
  readonly fastify: FastifyInstance;
  readonly forwarder: Forwarder;
  readonly drainer: ConnectionDrainer;
  /** To be called once before listening, because handler and forwarder need each other. */
  attach(handler: ProxyHandler): void;
}

/**
 * The HTTP server for clients. It enforces limits and reads no requests. Requests are served in `onRequest`, because
 * later Fastify would parse bodies and refuse unusual media types, which a proxy must pass on.
 */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const connectionOf: ConnectionOf = (socket: Named) => {
    socket[CONNECTION] ??= new ClientConnection(socket, options.trustedProxies);
    return socket[CONNECTION];
  };
  const fastify = Fastify(serverOptions(options, connectionOf)) as unknown as FastifyInstance;
  const { server } = fastify;
  // First, so that the other listeners do not see a connection before its PROXY header has been read.
  if (options.proxyProtocol !== undefined) acceptProxyProtocol(server, options.proxyProtocol);
  const drainer = new ConnectionDrainer(server);
  server.maxConnections = options.connections;
  server.maxHeadersCount = options.headers + 1;
  server.on('drop', () => options.metrics.connectionsDropped.inc());
  server.on('connect', (_request: IncomingMessage, socket: Duplex) =>
    refuseSocket(connectionOf(socket as Socket), socket as Socket, 'GW_METHOD_UNSUPPORTED'),
  );

  const forwarder = await createForwarder(fastify, options.requestIdHeader);
  let handler: ProxyHandler | undefined;
  const onRequest = (request: FastifyRequest, reply: FastifyReply): void => {
    const connection = connectionOf(request.raw.socket);
    // Read and drop what a refused client still sends.
    if (connection.isLingering) {
      request.raw.resume();
      return;
    }
    // Node delivers pipelined requests at once. Each begins only when the earlier ones are answered. It does not begin
    // at all after one that ends the connection, because it may have been smuggled in with that one.
    if (reply.raw.socket !== null) begin(request, reply, connection);
    else if (!connection.enqueue()) request.raw.socket.destroy();
    else {
      reply.raw.once('socket', () => {
        connection.dequeue();
        begin(request, reply, connection);
      });
    }
  };
  const begin = (request: FastifyRequest, reply: FastifyReply, connection: ClientConnection): void => {
    const { totalTimeoutMs, trustedProxies } = options;
    const context = new RequestContext(request, reply, connection, totalTimeoutMs, trustedProxies, drainer);
    (request as unknown as Carrier)[REQUEST_CONTEXT] = context;
    const response = reply.raw as ServerResponse & Carrier;
    response[REQUEST_CONTEXT] = context;
    response.on('close', onClose);
    if (request.raw.rawHeaders.length / 2 > options.headers) context.tooManyHeaders = true;
    void handler?.serve(context);
  };
  function onClose(this: ServerResponse & Carrier): void {
    const context = this[REQUEST_CONTEXT] as RequestContext;
    context.close();
    options.accessLog.ended(context);
    // The connection may be kept alive by an answer that began before the drain was announced.
    if (!server.listening) setImmediate(() => server.closeIdleConnections());
  }

  fastify.addHook('onRequest', onRequest as Parameters<typeof fastify.addHook>[1] as never);
  fastify.all('/*', neverReached);
  fastify.setNotFoundHandler(neverReached);
  return {
    fastify,
    forwarder,
    drainer,
    attach(given) {
      handler = given;
    },
  };
}

function neverReached(): never {
  throw new Error('a request got past onRequest');
}

function serverOptions(options: ListenerOptions, connectionOf: ConnectionOf): FastifyServerOptions {
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
    // The pools match the path, so the router gets a fixed one.
    rewriteUrl: () => '/',
    exposeHeadRoutes: false,
    genReqId: (request: IncomingMessage) => requestId(request, options, connectionOf),
    requestIdHeader: false as const,
    requestTimeout: http.requestTimeout,
    keepAliveTimeout: options.idleTimeoutMs,
    clientErrorHandler: (error: ParserError, socket: Duplex) =>
      onClientError(error, socket as Connection, connectionOf),
    forceCloseConnections: 'idle' as const,
    // While closing, serve requests on open connections. Fastify would refuse them with its own message.
    return503OnClosing: false,
  };
  if (tls === undefined) return { ...shared, http } as unknown as FastifyServerOptions;
  return {
    ...shared,
    https: { ...http, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: options.headerTimeoutMs },
  } as unknown as FastifyServerOptions;
}

function requestId(
  request: IncomingMessage,
  { requestIdHeader }: ListenerOptions,
  connectionOf: ConnectionOf,
): string {
  const given = request.headers[requestIdHeader];
  if (typeof given === 'string' && ACCEPTABLE_ID.test(given) && connectionOf(request.socket).isTrusted)
    return given;
  return randomUUID();
}

interface ParserError extends Error {
  readonly code?: string;
  /** The parser's own message. */
  readonly reason?: string;
}

type ConnectionOf = (socket: Socket) => ClientConnection;
type Connection = Socket & { _httpMessage?: (ServerResponse & Carrier) | null };

/** Handles input that the parser refused or that took too long. Later input on the connection cannot be trusted. */
function onClientError(error: ParserError, socket: Connection, connectionOf: ConnectionOf): void {
  const connection = connectionOf(socket);
  // The parser repeats the error for every later piece.
  if (connection.isLingering && error.code !== 'ECONNRESET') return;
  const pending = socket._httpMessage;
  const context = pending?.[REQUEST_CONTEXT];
  // The connection ended in the middle of a body, so the client has left.
  const hasLeft = error.code === 'HPE_INVALID_EOF_STATE' && pending?.req.complete === false;
  if (error.code === 'ECONNRESET' || hasLeft || !socket.writable) {
    socket.destroy();
    return;
  }
  if (pending === undefined || pending === null) {
    refuseSocket(connection, socket, codeOf(error));
  } else if (!pending.req.complete && context !== undefined) {
    context.abandon(codeOf(error));
  } else {
    // The previous request was complete, so it gets its answer, which is the last on this connection.
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
      // This reason means a version that is not supported; any other means text that is no version.
      return error.reason === 'Invalid HTTP version' ? 'GW_VERSION_UNSUPPORTED' : 'GW_REQUEST_MALFORMED';
    default:
      return 'GW_REQUEST_MALFORMED';
  }
}

/** Answers with a line of text and ends the connection, because there is no request to answer. */
function refuseSocket(connection: ClientConnection, socket: Socket, code: ErrorCode): void {
  const answer = ownAnswer(code, undefined, randomUUID(), 'exact');
  const body = Buffer.from(answer.body);
  connection.linger();
  socket.write(
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\ncontent-type: ${answer.contentType}\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${answer.body}`,
  );
  socket.destroySoon();
}
