import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { METHODS } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import Fastify from 'fastify';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessLog } from './access-log.ts';
import { ClientConnection } from './client-connection.ts';
import { ClientShares, CONNECTION } from './client-shares.ts';
import { ConnectionDrainer } from './connection-drainer.ts';
import type { Carrier, Forwarder } from './forwarder.ts';
import { createForwarder, REQUEST_CONTEXT } from './forwarder.ts';
import type { ProxyHandler } from './handler.ts';
import type { ProxyProtocolOptions } from './proxy-protocol-listener.ts';
import { acceptProxyProtocol } from './proxy-protocol-listener.ts';
import type { ParserError } from './refusals.ts';
import { Refusals } from './refusals.ts';
import type { FaultStatus } from './reply-with-fault.ts';
import type { ClientReply, ClientRequest } from './request-context.ts';
import { RequestContext } from './request-context.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

export interface ListenerOptions {
  readonly tls: TlsOptions | undefined;
  readonly headerBytes: number;
  readonly headers: number;
  readonly connections: number;
  /** Called for each connection that is closed at once, because there are as many and none can give way. */
  readonly onDropped: () => void;
  /** Called for each connection of a client that is closed to make room for new ones. */
  readonly onGivenUp: (client: string) => void;
  readonly inFlight: number;
  readonly arrivingBytes: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
  /** `undefined` if no balancer uses the PROXY protocol. */
  readonly proxyProtocol: ProxyProtocolOptions | undefined;
  readonly trustedProxies: TrustedProxies;
  readonly requestIdHeader: string;
  readonly faultStatus: FaultStatus;
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
}

// How often Node checks for clients that send too slowly. This is the precision of both time-outs.
const SLOWNESS_CHECK_MS = 500;
const CR = 13;
const LF = 10;
/** The methods that Fastify routes. The parser knows others, which belong to RTSP. */
const ROUTED: ReadonlySet<string> = new Set(METHODS);
// A client's request id goes to logs and headers, so only harmless characters are accepted.
const ACCEPTABLE_ID = /^[\w.:@/+=-]{1,128}$/;

type Named = Socket & { [CONNECTION]?: ClientConnection };

export interface Listener {
  readonly fastify: FastifyInstance;
  readonly forwarder: Forwarder;
  readonly drainer: ConnectionDrainer;
  readonly shares: ClientShares;
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
  const refusals = new Refusals({ ...options, connectionOf });
  const fastify = Fastify(serverOptions(options, connectionOf, refusals)) as unknown as FastifyInstance;
  const { server } = fastify;
  server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    watchPieces(socket, connectionOf(socket));
    // As Node has it without TLS. Not before, because a client that leaves during its handshake must not stay.
    socket.allowHalfOpen = true;
    socket.on('end', onEnd);
  });
  // First, so that the other listeners do not see a connection before its PROXY header has been read.
  if (options.proxyProtocol !== undefined) acceptProxyProtocol(server, options.proxyProtocol);
  const shares = new ClientShares(server, options);
  const drainer = new ConnectionDrainer(server, shares.connections);
  // A client may end its side after its request and still read the answer.
  (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  server.maxHeadersCount = options.headers + 1;
  server.on('connect', (request: IncomingMessage, socket: Duplex) =>
    refusals.onConnect(request, socket as Socket),
  );

  const forwarder = await createForwarder(fastify, options.requestIdHeader);
  let handler: ProxyHandler | undefined;
  const onRequest = (request: ClientRequest, reply: ClientReply): void => {
    const connection = connectionOf(request.raw.socket);
    notePiece(connection, (request.raw.socket as Parsed).parser);
    const isHttp = namesHttp(connection, request.raw.method ?? '', request.originalUrl);
    connection.lastResponse = reply.raw;
    // Read and drop what a refused client still sends.
    if (connection.isLingering) {
      request.raw.resume();
      return;
    }
    // Node delivers pipelined requests at once. Each begins only when the earlier ones are answered. It does not begin
    // at all after one that ends the connection, because it may have been smuggled in with that one.
    if (reply.raw.socket !== null) begin(request, reply, connection, isHttp);
    else {
      connection.enqueue();
      reply.raw.once('socket', () => {
        connection.dequeue();
        begin(request, reply, connection, isHttp);
      });
    }
  };
  const begin = (
    request: ClientRequest,
    reply: ClientReply,
    connection: ClientConnection,
    isHttp: boolean,
  ): void => {
    const { totalTimeoutMs, trustedProxies } = options;
    const context = new RequestContext(request, reply, connection, totalTimeoutMs, trustedProxies, drainer);
    (request as unknown as Carrier)[REQUEST_CONTEXT] = context;
    const response = reply.raw as ServerResponse & Carrier;
    response[REQUEST_CONTEXT] = context;
    response.on('close', onClose);
    if (context.clientHasEnded) context.clientEnded();
    if (request.raw.rawHeaders.length / 2 > options.headers) context.tooManyHeaders = true;
    context.isHttp = isHttp;
    void handler?.serve(context);
    if (connection.faultOfLast !== undefined && !request.raw.complete)
      context.abandon(connection.faultOfLast);
  };
  function onClose(this: ServerResponse & Carrier): void {
    const context = this[REQUEST_CONTEXT] as RequestContext;
    context.close();
    options.accessLog.ended(context);
    // The connection may be kept alive by an answer that began before the drain was announced.
    if (!server.listening) setImmediate(() => server.closeIdleConnections());
  }

  // Node's own answers, and Fastify's to methods that it does not know, would bypass the checks of the handler.
  const [route] = server.listeners('request') as ((raw: IncomingMessage, response: ServerResponse) => void)[];
  const receive = (raw: IncomingMessage, response: ServerResponse): void => {
    if (ROUTED.has(raw.method ?? '')) route?.(raw, response);
    else if (raw.method === 'PRI') refusals.onPreface(raw);
    else {
      const id = requestId(raw, options, connectionOf);
      onRequest({ id, raw, originalUrl: raw.url ?? '' }, { raw: response } as ClientReply);
    }
  };
  server.removeAllListeners('request');
  server.on('request', receive).on('checkContinue', receive).on('checkExpectation', receive);
  fastify.addHook('onRequest', onRequest as Parameters<typeof fastify.addHook>[1] as never);
  fastify.all('/*', neverReached);
  fastify.setNotFoundHandler(neverReached);
  return {
    fastify,
    forwarder,
    drainer,
    shares,
    attach(given) {
      handler = given;
    },
  };
}

/** What is used here of Node's parser, which its types do not describe. */
interface Parser {
  readonly socket: Socket;
  /** The request that is being read, or was read last. */
  readonly incoming?: (IncomingMessage & { readonly upgrade?: boolean | null }) | null;
  /** A copy of the piece of input that is being read. */
  getCurrentBuffer(): Buffer;
  /** Returns how much of the piece was read, or what is wrong with it. */
  execute(piece: Buffer): PieceResult;
  /** Called with that result, if the parser takes its input from the operating system itself. */
  [ON_EXECUTE]?: ((result: PieceResult) => void) | null;
}
type PieceResult = number | Error;
type Parsed = Socket & { readonly parser?: Parser | null };

/** `HTTPParser.kOnExecute`, which only a deprecated module exports. */
const ON_EXECUTE = 5;
const RTSP = Buffer.from('RTSP/');

/** The piece of input that was noted last. */
let piece: Buffer = Buffer.alloc(0);

/**
 * Makes each piece of input known before it is used, and calls {@link endPiece} after it. Node's parser takes its input
 * from the operating system itself; a listener for the input would make Node hand over each piece first, which costs 6 %
 * of the processor time of a request.
 *
 * To be called when Node has begun to read the connection.
 */
function watchPieces(socket: Parsed, connection: ClientConnection): void {
  const { parser } = socket;
  if (parser == null) return;
  const executed = parser[ON_EXECUTE];
  parser[ON_EXECUTE] = (result) => executed?.(endPiece(connection, parser, result));
  // Node uses parsers again, and what follows holds for all requests of all servers.
  if (Object.hasOwn(parser, 'execute')) return;
  const { execute } = parser;
  // Of input that was read before Node's parser, as behind a PROXY header.
  parser.execute = function (this: Parser, given) {
    const { [CONNECTION]: owner } = this.socket as Named;
    if (owner !== undefined) note(owner, given);
    const result = execute.call(this, given);
    return owner === undefined ? result : endPiece(owner, this, result);
  };
}

/** Notes the piece that the parser is reading, unless that was done. */
function notePiece(connection: ClientConnection, parser: Parser | null | undefined): void {
  if (!connection.isPieceNoted && parser != null) note(connection, parser.getCurrentBuffer());
}

/**
 * Called when the parser has read a piece. Returns the result, or an error where Node would go on wrongly: behind the
 * header of a request that asks for an upgrade, its parser expects another protocol, although the server ignores the
 * upgrade and reads a body; if that is malformed, the request would wait until its body times out. After a beginning like
 * that of HTTP/2, which is refused already, Node would destroy the connection and with it the answer.
 */
function endPiece(connection: ClientConnection, parser: Parser, result: PieceResult): PieceResult {
  notePiece(connection, parser);
  connection.isPieceNoted = false;
  connection.isInBody = connection.lastResponse?.req.complete === false;
  if (typeof result !== 'number') return result;
  const { incoming } = parser;
  if (incoming?.method === 'PRI') return malformed('HTTP/2');
  // The parser may only stop behind a request.
  if (!connection.isInBody || result === piece.length || incoming?.upgrade === true) return result;
  return malformed('Malformed body after Upgrade');
}

function malformed(reason: string): Error {
  return Object.assign(new Error(reason), { code: 'HPE_INVALID_BODY', reason });
}

/** Remembers the line with which the piece begins, if it may be a request line. */
function note(connection: ClientConnection, chunk: Buffer): void {
  connection.isPieceNoted = true;
  piece = chunk;
  connection.mentionsRtsp ||= chunk.includes(RTSP) || endsInside(connection.lastBytes, chunk);
  connection.lastBytes = lastBytesOf(connection.lastBytes, chunk);
  if (connection.lineIsComplete || connection.isInBody) return;
  let from = 0;
  // Empty lines before a request line do not count (RFC 9112 §2.2).
  if (connection.line === '') while (chunk[from] === CR || chunk[from] === LF) from += 1;
  const found = chunk.indexOf(LF, from);
  connection.line += chunk.toString('latin1', from, found < 0 ? chunk.length : found);
  connection.lineIsComplete = found >= 0;
}

/** The end of the input, if the name of the protocol may begin in it. */
function lastBytesOf(before: string, chunk: Buffer): string {
  const from = Math.max(0, chunk.length - RTSP.length);
  let mayBegin = before !== '' && from === 0;
  for (let at = from; at < chunk.length; at += 1) mayBegin ||= chunk[at] === RTSP[0];
  return mayBegin ? (before + chunk.toString('latin1', from)).slice(-RTSP.length) : '';
}

/** Does the name of the protocol begin in the piece before, and end in this one? */
function endsInside(lastBytes: string, chunk: Buffer): boolean {
  if (lastBytes === '') return false;
  return (lastBytes + chunk.toString('latin1', 0, RTSP.length)).includes('RTSP/');
}

/**
 * Does the request line name HTTP? Node's parser also accepts RTSP and ICE, and does not tell them from HTTP. To be
 * called when the parser has read the header.
 *
 * @param target as sent
 */
function namesHttp(connection: ClientConnection, method: string, target: string): boolean {
  const { line, lineIsComplete, mentionsRtsp } = connection;
  connection.line = '';
  connection.lineIsComplete = false;
  if (mentionsRtsp) connection.mentionsRtsp = piece.includes(RTSP);
  if (method === 'SOURCE' || !ROUTED.has(method)) return false;
  if (!mentionsRtsp) return true;
  // A pipelined request may have begun inside a piece. Its line is unknown then.
  const [first, second, protocol] = line.split(/ +/);
  return lineIsComplete && first === method && second === target && protocol?.startsWith('HTTP/') === true;
}

/** The client has ended its side of the connection. */
function onEnd(this: Connection): void {
  this._httpMessage?.[REQUEST_CONTEXT]?.clientEnded();
}

function neverReached(): never {
  throw new Error('a request got past onRequest');
}

function serverOptions(
  options: ListenerOptions,
  connectionOf: ConnectionOf,
  refusals: Refusals,
): FastifyServerOptions {
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
      refusals.onClientError(error, socket as Socket),
    forceCloseConnections: 'idle' as const,
    // While closing, serve requests on open connections. Fastify would refuse them with its own message.
    return503OnClosing: false,
  };
  if (tls === undefined) return { ...shared, http } as unknown as FastifyServerOptions;
  const https = { ...http, ...tls, handshakeTimeout: options.headerTimeoutMs };
  return { ...shared, https } as unknown as FastifyServerOptions;
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

type ConnectionOf = (socket: Socket) => ClientConnection;
type Connection = Socket & { _httpMessage?: (ServerResponse & Carrier) | null };
