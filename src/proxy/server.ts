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
  /** `undefined` where no balancer speaks the PROXY protocol. */
  readonly proxyProtocol: ProxyProtocolOptions | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly requestIdHeader: string;
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
}

// How often Node looks for clients that send too slowly: the grain of both limits.
const SLOWNESS_CHECK_MS = 500;
// A request id from outside ends up in logs and headers.
const ACCEPTABLE_ID = /^[\w.:@/+=-]{1,128}$/;

export interface Listener {
  readonly fastify: FastifyInstance;
  readonly forwarder: Forwarder;
  readonly drainer: ConnectionDrainer;
  /** Given once, before listening: handler and forwarder know each other. */
  attach(handler: ProxyHandler): void;
}

/**
 * The HTTP server for clients: limits, and nothing that reads a request. Fastify
 * would parse bodies and refuse odd media types, which must not happen to traffic
 * that is only passed on, so requests are served in `onRequest`.
 */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const connections = new WeakMap<Socket, ClientConnection>();
  const connectionOf: ConnectionOf = (socket) => {
    let connection = connections.get(socket);
    if (connection === undefined) {
      connection = new ClientConnection(socket, options.trustedProxies);
      connections.set(socket, connection);
    }
    return connection;
  };
  const fastify = Fastify(serverOptions(options, connectionOf)) as unknown as FastifyInstance;
  const { server } = fastify;
  // First: the other listeners for new connections must not see one before its PROXY header was read.
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
    // What still comes from a client that was refused is read and dropped.
    if (connection.isLingering) {
      request.raw.resume();
      return;
    }
    // Node hands out pipelined requests at once. Each begins when it is its turn to be answered: in order,
    // and not at all behind one that ends the connection, which may be how it was smuggled in.
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
    // Its connection may be kept alive by an answer that began before the end was announced.
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
    // The path is matched by the pools; the router must not judge it.
    rewriteUrl: () => '/',
    exposeHeadRoutes: false,
    genReqId: (request: IncomingMessage) => requestId(request, options, connectionOf),
    requestIdHeader: false as const,
    requestTimeout: http.requestTimeout,
    keepAliveTimeout: options.idleTimeoutMs,
    clientErrorHandler: (error: ParserError, socket: Duplex) =>
      onClientError(error, socket as Connection, connectionOf),
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
  /** The parser's own words. */
  readonly reason?: string;
}

type ConnectionOf = (socket: Socket) => ClientConnection;
type Connection = Socket & { _httpMessage?: (ServerResponse & Carrier) | null };

/** What the parser refused, or what took too long. Nothing that comes after it on the connection can be trusted. */
function onClientError(error: ParserError, socket: Connection, connectionOf: ConnectionOf): void {
  const connection = connectionOf(socket);
  // The parser says it again for every piece that comes after.
  if (connection.isLingering && error.code !== 'ECONNRESET') return;
  const pending = socket._httpMessage;
  const context = pending?.[REQUEST_CONTEXT];
  // Ended in the middle of a body: the client has left.
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
