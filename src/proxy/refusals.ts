import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '../core/errors.ts';
import type { SoapVersion } from '../soap/media-type.ts';
import { soapVersionOf } from '../soap/media-type.ts';
import type { AccessLog } from './access-log.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Carrier } from './forwarder.ts';
import { REQUEST_CONTEXT } from './forwarder.ts';
import type { FaultStatus } from './reply-with-fault.ts';
import { ownAnswer } from './reply-with-fault.ts';

export interface RefusalOptions {
  readonly connectionOf: (socket: Socket) => ClientConnection;
  readonly requestIdHeader: string;
  readonly faultStatus: FaultStatus;
  readonly accessLog: AccessLog;
}

/** An error of Node's parser, of its time limits, or of TLS. */
export interface ParserError extends Error {
  readonly code?: string;
  /** The parser's own message. */
  readonly reason?: string;
  /** The piece of input in which the parser met the error. */
  readonly rawPacket?: Buffer;
}

interface Refusal {
  readonly code: ErrorCode;
  readonly reason?: string | undefined;
  readonly soapVersion: SoapVersion | undefined;
  readonly request?: IncomingMessage | undefined;
}

/**
 * Answers input that never becomes a request: what the parser refuses, what takes too long, and CONNECT. Like any
 * refused request it is counted and logged, and it is the last of its connection: nothing that follows can be trusted.
 */
export class Refusals {
  readonly #options: RefusalOptions;

  constructor(options: RefusalOptions) {
    this.#options = options;
  }

  onClientError(error: ParserError, socket: Socket): void {
    const connection = this.#options.connectionOf(socket);
    // The parser repeats the error for every later piece.
    if ((connection.isLingering || connection.isRefused) && error.code !== 'ECONNRESET') return;
    const pending = connection.lastResponse;
    const incomplete = pending?.req.complete === false ? pending : undefined;
    const context = (incomplete as Carrier | undefined)?.[REQUEST_CONTEXT];
    // The connection ended in the middle of the body of the request that is served, so the client has left. If it ended
    // in a later one, the client may still read the answers to those before.
    const hasLeft = error.code === 'HPE_INVALID_EOF_STATE' && context !== undefined;
    if (error.code === 'ECONNRESET' || hasLeft || !socket.writable) {
      socket.destroy();
      return;
    }
    connection.isRefused = true;
    const code = codeOf(error);
    if (incomplete === undefined) {
      this.#refuse(connection, socket, { code, reason: error.reason, soapVersion: soapVersionIn(error) });
      return;
    }
    if (context === undefined) connection.faultOfLast = code;
    else context.abandon(code);
  }

  onConnect(request: IncomingMessage, socket: Socket): void {
    this.#refuseMethod(request, socket, 'GW_METHOD_UNSUPPORTED');
  }

  /** A request that begins like HTTP/2. Node destroys its connection right after it was delivered. */
  onPreface(request: IncomingMessage): void {
    this.#refuseMethod(request, request.socket, 'GW_REQUEST_MALFORMED');
  }

  #refuseMethod(request: IncomingMessage, socket: Socket, code: ErrorCode): void {
    const { headers } = request;
    this.#refuse(this.#options.connectionOf(socket), socket, {
      code,
      soapVersion: soapVersionOf(headers['content-type'], headers['soapaction'] as string | undefined),
      request,
    });
  }

  /** Answers once the earlier requests of the connection have their answers, unless one of these ends it. */
  #refuse(connection: ClientConnection, socket: Socket, refusal: Refusal): void {
    const earlier = connection.lastResponse;
    if (earlier === undefined || earlier.writableFinished) {
      this.#answer(connection, socket, refusal);
      return;
    }
    // Before Node's own listener, which ends the connection if the client has ended its side.
    earlier.prependOnceListener('finish', () => {
      if (earlier.shouldKeepAlive) this.#answer(connection, socket, refusal);
    });
  }

  #answer(
    connection: ClientConnection,
    socket: Socket,
    { code, reason, soapVersion, request }: Refusal,
  ): void {
    if (connection.isLingering || !socket.writable) return;
    const { requestIdHeader, faultStatus, accessLog } = this.#options;
    const requestId = randomUUID();
    const { status, contentType, body } = ownAnswer(code, soapVersion, requestId, faultStatus);
    connection.linger();
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${contentType}\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\ncache-control: no-store\r\n` +
        `${requestIdHeader}: ${requestId}\r\nconnection: close\r\n\r\n${body}`,
    );
    socket.destroySoon();
    accessLog.refused({
      requestId,
      client: connection.peer,
      method: request?.method,
      path: request?.url,
      status,
      error: code,
      reason,
    });
  }
}

/** The answer to input that the parser refuses. */
export function codeOf(error: Pick<ParserError, 'code' | 'reason'>): ErrorCode {
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

/** The SOAP version of a refused caller, as far as the piece of input shows it that the parser refused. */
function soapVersionIn({ rawPacket }: ParserError): SoapVersion | undefined {
  const text = rawPacket?.toString('latin1') ?? '';
  return soapVersionOf(fieldIn(text, CONTENT_TYPE), fieldIn(text, SOAP_ACTION));
}

const CONTENT_TYPE = /^content-type:[ \t]*([^\r\n]*)/im;
const SOAP_ACTION = /^soapaction:[ \t]*([^\r\n]*)/im;

function fieldIn(text: string, field: RegExp): string | undefined {
  return field.exec(text)?.[1];
}
