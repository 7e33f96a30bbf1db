import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { StrictRequest } from './strict-http.ts';
import { readStrictly } from './strict-http.ts';

/** Where the gateway probes the recorder. */
export const PROBE_PATH = '/probe-of-the-recorder';

interface Connection {
  readonly socket: Socket;
  /** The bytes since the last complete request. */
  bytes: string;
  /** Requests as Node's own strict parser reads them. */
  readonly byNode: StrictRequest[];
  /** Requests as the strict parser of this folder reads them. */
  readonly byUs: StrictRequest[];
  isOver: boolean;
}

/**
 * An instance that records every byte that it receives, and lets two strict parsers read them: Node's, which also
 * answers, and that of `strict-http.ts`.
 */
export class Recorder {
  /** What reached it since `forget`, as both parsers read it. */
  readonly requests: StrictRequest[] = [];
  /** What the parsers do not read alike, or not at all. */
  readonly faults: string[] = [];
  readonly #connections = new Map<Socket, Connection>();
  readonly #http: HttpServer;
  readonly #server: Server;

  private constructor() {
    this.#http = createHttpServer(
      { insecureHTTPParser: false, keepAliveTimeout: 60_000 },
      (request, response) => this.#onRequest(request, response),
    );
    this.#http.on('clientError', (error: Error & { code?: string }, socket) => {
      const isCut = error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE';
      if (!isCut) this.faults.push(`Node refuses what was forwarded: ${error.message}`);
      socket.destroy();
    });
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#onConnection(socket));
  }

  static async start(): Promise<Recorder> {
    const recorder = new Recorder();
    await new Promise<void>((resolve) => {
      recorder.#server.listen(0, '127.0.0.1', resolve);
    });
    return recorder;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Is no request under way on any connection? */
  get isQuiet(): boolean {
    return ![...this.#connections.values()].some(isBusy);
  }

  /** Begins again, without the requests that a failed check has left under way. */
  forget(): void {
    for (const connection of this.#connections.values()) if (isBusy(connection)) connection.socket.destroy();
    this.requests.length = 0;
    this.faults.length = 0;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#connections.keys()) socket.destroy();
    await closed;
  }

  #onConnection(socket: Socket): void {
    const connection: Connection = { socket, bytes: '', byNode: [], byUs: [], isOver: false };
    this.#connections.set(socket, connection);
    socket.on('error', () => undefined);
    socket.on('end', () => {
      connection.isOver = true;
    });
    socket.on('close', () => {
      connection.isOver = true;
      this.#connections.delete(socket);
    });
    this.#http.emit('connection', socket);
    // Before Node's own listener, and behind its set-up: Node then stops reading the socket beside JavaScript.
    socket.prependListener('data', (chunk: Buffer) => this.#onData(connection, chunk));
  }

  #onData(connection: Connection, chunk: Buffer): void {
    connection.bytes += chunk.toString('latin1');
    const { requests, end, length } = readStrictly(connection.bytes);
    connection.byUs.push(...requests);
    if (typeof end === 'object') {
      const quoted = JSON.stringify(connection.bytes.slice(length));
      this.faults.push(`the strict parser refuses ${end.fault} in what was forwarded: ${quoted}`);
    }
    connection.bytes = typeof end === 'object' ? '' : connection.bytes.slice(length);
    this.#compare(connection);
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const { method = '', url: target = '', httpVersion: version, rawHeaders } = request;
      const fields = rawHeaders.flatMap((name, i) =>
        i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ''] as const] : [],
      );
      const connection = this.#connections.get(request.socket);
      connection?.byNode.push({
        method,
        target,
        version,
        fields,
        body: Buffer.concat(chunks).toString('latin1'),
      });
      if (connection !== undefined) this.#compare(connection);
      response.setHeader('content-type', 'text/plain');
      response.end('ok');
    });
  }

  /** Compares what both parsers have read to its end. */
  #compare({ byNode, byUs }: Connection): void {
    while (byNode.length > 0 && byUs.length > 0) {
      const [one, other] = [byNode.shift(), byUs.shift()] as [StrictRequest, StrictRequest];
      if (one.target === PROBE_PATH) continue;
      this.requests.push(other);
      if (JSON.stringify(one) !== JSON.stringify(other))
        this.faults.push(
          `read as ${JSON.stringify(one)} by Node, and as ${JSON.stringify(other)} by the strict parser`,
        );
    }
  }
}

function isBusy({ bytes, isOver, byNode, byUs }: Connection): boolean {
  return !isOver && (bytes !== '' || byNode.length !== byUs.length);
}
