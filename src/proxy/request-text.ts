import type { IncomingMessage, Server } from 'node:http';
import { createServer } from 'node:http';
import { Duplex } from 'node:stream';
import type { ErrorCode } from '../core/errors.ts';
import type { ParserError } from './refusals.ts';
import { codeOf } from './refusals.ts';

export interface RequestTextLimits {
  readonly headerBytes: number;
  /** The most header fields. */
  readonly headers: number;
}

/** A request that was read from text; or how the gateway would refuse such input. */
export type ReadRequest =
  | { readonly raw: IncomingMessage; readonly isHttp: boolean; readonly close: () => void }
  | { readonly error: ErrorCode };

const END_OF_HEADER = /\r?\n\r?\n/;
const REQUEST_LINE = /^\S+ +\S+ +HTTP\/\d/;

/**
 * Reads a request with the parser and the limits that read those of clients. Nothing is listened on or sent: the text is
 * all input of a connection that exists only in memory.
 *
 * Text from a file or a form has other line ends than a request, and its length may have changed with them. So lines of
 * the header get CR LF, and `Content-Length` gets the length of the text.
 */
export function readRequestText(text: string, limits: RequestTextLimits): Promise<ReadRequest> {
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    insecureHTTPParser: false,
    requireHostHeader: false,
  });
  server.maxHeadersCount = limits.headers + 1;
  // The end of the text is the end of the client's side only.
  (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  const input = asSent(text);
  const connection = inMemory();
  return new Promise((resolve) => {
    const end = (result: ReadRequest): void => {
      if ('error' in result) connection.destroy();
      resolve(result);
    };
    const onRequest = (raw: IncomingMessage): void =>
      end({ raw, isHttp: REQUEST_LINE.test(text.trimStart()), close: () => void connection.destroy() });
    listen(server, onRequest, (code) => end({ error: code }));
    server.emit('connection', connection);
    connection.push(input);
    connection.push(null);
    // The parser answers in this turn or the next one. Text that is no complete header gets no answer.
    setImmediate(() => setImmediate(() => end({ error: 'GW_REQUEST_MALFORMED' })));
  });
}

function listen(
  server: Server,
  onRequest: (raw: IncomingMessage) => void,
  onError: (code: ErrorCode) => void,
): void {
  server.on('request', onRequest).on('checkContinue', onRequest).on('checkExpectation', onRequest);
  server.on('connect', () => onError('GW_METHOD_UNSUPPORTED'));
  server.on('clientError', (error: Error) => onError(codeOf(error as ParserError)));
}

function inMemory(): Duplex {
  return new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      done();
    },
  });
}

function asSent(text: string): Buffer {
  const trimmed = text.replace(/^\s+/, '');
  const end = END_OF_HEADER.exec(trimmed);
  const head = (end === null ? trimmed.trimEnd() : trimmed.slice(0, end.index)).split(/\r?\n/);
  const body = Buffer.from(end === null ? '' : trimmed.slice(end.index + end[0].length));
  const isChunked = head.some((line) => /^transfer-encoding:/i.test(line));
  const at = head.findIndex((line) => /^content-length:/i.test(line));
  const length = `Content-Length: ${body.length}`;
  if (at > 0) head[at] = length;
  else if (body.length > 0 && !isChunked) head.push(length);
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
}
