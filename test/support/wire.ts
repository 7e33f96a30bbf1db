import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { eventually } from './eventually.ts';
import { stopwatch } from './processor-wait.ts';

// A limit for what hangs: gateway, instance and clients share a processor, on a busy machine with others too.
const PATIENT_MS = 30_000;

/**
 * Both ends of a proxy at byte level: a client that writes any bytes, and an upstream
 * that records all received bytes. Neither uses Node's HTTP, which would correct
 * the very mistakes under test.
 */

export interface WireMessage {
  /** Request or status line. */
  readonly start: string;
  /** The raw fields, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** The values of a field, in any letter case. */
  all(name: string): string[];
  get(name: string): string | undefined;
}

export interface WireResponse extends WireMessage {
  readonly status: number;
}

/** A client with one connection. */
export class WireClient {
  readonly socket: Socket;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  isClosed = false;
  #received: Buffer[] = [];
  #length = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#length += chunk.length;
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
  }

  static open(port: number, tls?: ConnectionOptions): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const opened = (): void => {
        socket.off('error', reject);
        resolve(new WireClient(socket));
      };
      const to = { port, host: '127.0.0.1', allowHalfOpen: true };
      const socket = tls === undefined ? connect(to, opened) : connectTls({ ...to, ...tls }, opened);
      socket.once('error', reject);
    });
  }

  /** The connection delivers no more data. */
  get isOver(): boolean {
    return this.isClosed || this.socket.readableEnded;
  }

  get bytes(): Buffer {
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)];
    return this.#received[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  get #beginning(): string {
    return JSON.stringify(this.bytes.toString('latin1', 0, 500));
  }

  send(data: string | Uint8Array): this {
    if (this.socket.writable)
      this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
    return this;
  }

  /** Sends each byte in its own segment, as far as the kernel allows. */
  async sendByteByByte(data: string): Promise<void> {
    for (const byte of Buffer.from(data, 'latin1')) {
      if (!this.socket.writable) return;
      this.socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
  }

  /** Resolves once `isThere` is true for the received data; rejects if the connection ends before. */
  async until(isThere: (bytes: Buffer) => boolean, within = PATIENT_MS): Promise<void> {
    let examined = -1;
    const came = await eventually(
      () => {
        const { isOver } = this;
        if (this.#length !== examined || isOver) {
          examined = this.#length;
          if (isThere(this.bytes)) return true;
          if (isOver) return false;
        }
        throw new Error(`nothing more came after ${this.#beginning}`);
      },
      { within, every: 1 },
    );
    if (!came) throw new Error(`the connection ended after ${this.#beginning}`);
  }

  /** The first `count` complete final responses. */
  async responses(count: number, methods: readonly string[] = []): Promise<WireResponse[]> {
    let found: WireResponse[] = [];
    await this.until((bytes) => {
      found = parseResponses(bytes, this.isOver, methods).filter(isFinal);
      return found.length >= count;
    });
    return found;
  }

  async response(method = 'POST'): Promise<WireResponse> {
    const [first] = await this.responses(1, [method]);
    return first as WireResponse;
  }

  /**
   * All data until the peer ends its side or the connection breaks.
   *
   * @param within the most time that this may take, without that for which this process, and with it a gateway of the
   *   test, got no processor
   */
  async untilEnd(within = PATIENT_MS): Promise<Buffer> {
    const tookMs = stopwatch();
    await eventually(
      () => {
        if (!this.isOver) throw new Error(`still open after ${JSON.stringify(this.text)}`);
      },
      { within: Math.max(within, PATIENT_MS), every: 2 },
    );
    const ms = tookMs();
    if (ms > within) throw new Error(`it ended after ${Math.round(ms)} ms and not ${within}`);
    return this.bytes;
  }

  /** Waits for the peer to end its side, then ends this one. */
  async end(within = 2_000): Promise<void> {
    await this.untilEnd(within);
    this.leave();
  }

  /** Ends the connection at once, like a client that gives up. */
  leave(): void {
    this.socket.destroy();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

function isFinal(response: WireResponse): boolean {
  return response.status >= 200;
}

/** The complete responses in the received data. A response without a length is complete when the connection has ended. */
function parseResponses(bytes: Buffer, ended: boolean, methods: readonly string[] = []): WireResponse[] {
  const found: WireResponse[] = [];
  let at = 0;
  let finals = 0;
  while (at < bytes.length) {
    const head = parseHead(bytes, at);
    if (head === undefined) break;
    const status = Number(head.start.split(' ')[1]);
    const isEmpty = status < 200 || status === 204 || status === 304 || methods[finals] === 'HEAD';
    const body = isEmpty ? { body: Buffer.alloc(0), end: head.end } : parseBody(bytes, head, ended);
    if (body === undefined) break;
    if (status >= 200) finals += 1;
    found.push({ ...message(head, body.body), status });
    at = body.end;
  }
  return found;
}

interface Head {
  readonly start: string;
  readonly fields: [string, string][];
  readonly end: number;
}

function parseHead(bytes: Buffer, from: number): Head | undefined {
  const end = bytes.indexOf('\r\n\r\n', from);
  if (end < 0) return undefined;
  const [start = '', ...lines] = bytes.toString('latin1', from, end).split('\r\n');
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return { start, fields, end: end + 4 };
}

function message(head: Head, body: Buffer): WireMessage {
  const all = (name: string): string[] =>
    head.fields.filter(([field]) => field.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return { start: head.start, fields: head.fields, body, all, get: (name) => all(name)[0] };
}

function parseBody(
  bytes: Buffer,
  head: Head,
  endsWithConnection: boolean | 'empty',
): { body: Buffer; end: number } | undefined {
  const field = (name: string): string | undefined =>
    head.fields.find(([key]) => key.toLowerCase() === name)?.[1];
  if (field('transfer-encoding') !== undefined) return parseChunks(bytes, head.end);
  const length = field('content-length');
  if (length !== undefined) {
    const end = head.end + Number(length);
    return bytes.length < end ? undefined : { body: bytes.subarray(head.end, end), end };
  }
  if (endsWithConnection === 'empty') return { body: Buffer.alloc(0), end: head.end };
  return endsWithConnection ? { body: bytes.subarray(head.end), end: bytes.length } : undefined;
}

function parseChunks(bytes: Buffer, from: number): { body: Buffer; end: number } | undefined {
  const chunks: Buffer[] = [];
  let at = from;
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    const data = line + 2;
    if (bytes.length < data + size + 2) return undefined;
    if (size === 0) {
      // Trailers, if any, end with an empty line as well.
      const end = bytes.indexOf('\r\n\r\n', line);
      return end < 0 ? undefined : { body: Buffer.concat(chunks), end: end + 4 };
    }
    chunks.push(bytes.subarray(data, data + size));
    at = data + size + 2;
  }
}

export interface ReceivedRequest extends WireMessage {
  readonly method: string;
  readonly target: string;
}

/** The upstream's reaction to a request; by default status 200 with a short text. */
export type Answer = (request: ReceivedRequest, socket: Socket) => void;

export const OK: Answer = (_request, socket) => {
  socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok');
};

export interface UpstreamOptions {
  readonly answer?: Answer;
  readonly port?: number;
  readonly tls?: TlsOptions;
  /** Called for each connection; return true to keep it from being read. */
  readonly onConnection?: (socket: Socket) => boolean;
}

/** An instance that records each request byte by byte. It answers probes of `/health` without recording them. */
export class WireUpstream {
  readonly requests: ReceivedRequest[] = [];
  /** All received bytes except probes, including incomplete requests. */
  unparsed = 0;
  /** Connections that carried anything but a probe. */
  readonly trafficSockets = new Set<Socket>();
  readonly sockets = new Set<Socket>();
  answer: Answer;
  onConnection: ((socket: Socket) => boolean) | undefined;
  port = 0;
  readonly #server: Server;
  readonly #scheme: string;

  private constructor(options: UpstreamOptions) {
    this.answer = options.answer ?? OK;
    this.onConnection = options.onConnection;
    this.#scheme = options.tls === undefined ? 'http' : 'https';
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server = options.tls === undefined ? createServer(accept) : createTlsServer(options.tls, accept);
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(options: UpstreamOptions | Answer = {}): Promise<WireUpstream> {
    const upstream = new WireUpstream(typeof options === 'function' ? { answer: options } : options);
    await upstream.listen(typeof options === 'function' ? 0 : (options.port ?? 0));
    return upstream;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen({ port, host: '127.0.0.1' }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses connections from now on, and closes open ones. */
  async refuse(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Refuses connections from now on, and keeps open ones. */
  refuseNew(): void {
    this.#server.close();
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.refuse();
    for (const socket of this.sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
    if (this.onConnection?.(socket) === true) return;
    let pending = Buffer.alloc(0);
    let chunks: Buffer[] = [];
    let needed = 0;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      needed -= chunk.length;
      if (needed > 0) return;
      pending = Buffer.concat([pending, ...chunks]);
      chunks = [];
      for (;;) {
        const head = parseHead(pending, 0);
        if (head === undefined || !head.start.startsWith('GET /health ')) {
          if (pending.length > 0) this.trafficSockets.add(socket);
        }
        const body = head === undefined ? undefined : parseBody(pending, head, 'empty');
        if (head === undefined || body === undefined) {
          // Do not concatenate a long body again for each of its pieces.
          const length = head?.fields.find(([name]) => name.toLowerCase() === 'content-length')?.[1];
          needed =
            head === undefined || length === undefined ? 0 : head.end + Number(length) - pending.length;
          return;
        }
        pending = pending.subarray(body.end);
        if (head.start.startsWith('GET /health ')) {
          OK(request(head, body.body), socket);
          continue;
        }
        const received = request(head, Buffer.from(body.body));
        this.requests.push(received);
        this.answer(received, socket);
        if (pending.length === 0) return;
      }
    });
  }
}

function request(head: Head, body: Buffer): ReceivedRequest {
  const [method = '', target = ''] = head.start.split(' ');
  return { ...message(head, body), method, target };
}

/** A pool over one or several upstreams, as YAML; the options of the pool are indented by four. */
export function poolOf(urls: readonly string[], options = '', instanceOptions = ''): string {
  const instances = urls
    .map(
      (url, i) =>
        `      - { id: i${i + 1}, url: '${url}'${instanceOptions === '' ? '' : `, ${instanceOptions}`} }`,
    )
    .join('\n');
  return `pools:\n  - name: ici\n    mode: sticky\n    health: { path: /health, interval: 200ms, fastInterval: 20ms, timeout: 500ms }\n${options === '' ? '' : `    ${options}\n`}    instances:\n${instances}\n`;
}

export function soapPost(path: string, body: string, fields: readonly string[] = []): string {
  const lines = [
    `POST ${path} HTTP/1.1`,
    'Host: ici.example',
    'Content-Type: text/xml; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...fields,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

export const ENVELOPE =
  '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><ping/></e:Body></e:Envelope>';
