import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { SoapCall } from './connector-soap.ts';
import { answerSoap, fault } from './connector-soap.ts';
import { Deliveries } from './deliveries.ts';
import type { Behaviour, Target } from './misbehaviour.ts';
import { NORMAL, parseBehaviour } from './misbehaviour.ts';
import type { Random } from './random.ts';
import type { Session } from './sessions.ts';
import { Sessions } from './sessions.ts';
import {
  CONNECTOR_HEADER,
  callerOf,
  DELIVERY_HEADER,
  decodeBody,
  ECHO_HEADER,
  INCARNATION_HEADER,
  readCookie,
  readMessage,
  SESSION_COOKIE,
  USER_HEADER,
} from './wire.ts';

export interface ConnectorOptions {
  readonly name: string;
  readonly host?: string;
  readonly port?: number;
  /** The delay before every SOAP answer. */
  readonly latencyMs?: number;
  /** A larger body gets status 413; 100 MiB by default. */
  readonly maxBodyBytes?: number;
  /** The number of ids to count before the oldest is forgotten; 200,000 by default. */
  readonly maxDeliveries?: number;
  /**
   * Appends a line per header and per body to this file, so that the count survives a SIGKILL: the kind, the time by
   * the host's monotonic clock in ms, the incarnation, and the id.
   */
  readonly journal?: string;
  /** The random source for a misbehaviour with a probability; `Math.random` by default. */
  readonly random?: Random;
  readonly log?: (line: string) => void;
}

/** A connector instance that keeps its agents in memory, like a real one, and misbehaves on request. */
export interface SimulatedConnector {
  readonly name: string;
  /** The id of this incarnation; new at every start. */
  readonly incarnation: string;
  readonly startedAt: string;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly deliveries: Deliveries;
  /** TCP connections accepted so far. */
  readonly connections: number;
  sessions(): readonly Session[];
  /** Resolves once the behaviour is in effect: for `refuse`, when nothing listens any more. */
  behave(behaviour: Behaviour): Promise<void>;
  /** Ends every connection, answered or not. */
  close(): Promise<void>;
}

/** Larger than the default backlog of any kernel, because SAP opens a connection per request. */
const BACKLOG = 4096;
const MAX_CONNECTIONS = 10_000;
const MAX_BODY_BYTES = 100 * 1024 * 1024;
/** Longer than a proxy in front keeps idle connections, so that the proxy closes them first. */
const KEEP_ALIVE_MS = 65_000;

export async function startConnector(options: ConnectorOptions): Promise<SimulatedConnector> {
  const connector = new Connector(options);
  await connector.listen(options.port ?? 0);
  return connector;
}

class Connector implements SimulatedConnector {
  readonly name: string;
  readonly incarnation = randomBytes(8).toString('hex');
  readonly startedAt = new Date().toISOString();
  readonly host: string;
  readonly deliveries: Deliveries;
  connections = 0;
  port = 0;

  readonly #latencyMs: number;
  readonly #maxBodyBytes: number;
  readonly #random: Random;
  readonly #log: (line: string) => void;
  readonly #journal: number | undefined;
  readonly #sessions = new Sessions();
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #server = createServer({ requestTimeout: 60_000, keepAlive: true }, (request, response) =>
    this.#handle(request, response),
  );
  #behaviour = NORMAL;
  #backToNormal: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ConnectorOptions) {
    this.name = options.name;
    this.host = options.host ?? '127.0.0.1';
    this.deliveries = new Deliveries(options.maxDeliveries ?? 200_000);
    this.#latencyMs = options.latencyMs ?? 0;
    this.#maxBodyBytes = options.maxBodyBytes ?? MAX_BODY_BYTES;
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? (() => undefined);
    this.#journal = options.journal === undefined ? undefined : openSync(options.journal, 'a');
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    return `http://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`;
  }

  sessions(): readonly Session[] {
    return this.#sessions.all();
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host: this.host, backlog: BACKLOG }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async behave(behaviour: Behaviour): Promise<void> {
    if (this.#closed) return;
    clearTimeout(this.#backToNormal);
    this.#behaviour = behaviour;
    this.#log(`${this.name}: ${JSON.stringify(behaviour)}`);
    if (behaviour.mode !== 'normal' && behaviour.forMs !== undefined) {
      this.#backToNormal = setTimeout(() => {
        this.behave(NORMAL).catch((error: unknown) => {
          // Another process took the port meanwhile; the connector keeps refusing connections.
          this.#log(`${this.name}: cannot listen again: ${String(error)}`);
        });
      }, behaviour.forMs);
      this.#backToNormal.unref();
    }
    if (behaviour.mode === 'refuse') {
      // This also closes idle connections; a connection with a pending request closes after its answer.
      if (this.#server.listening) this.#server.close();
    } else if (!this.#server.listening) {
      await this.listen(this.port);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#backToNormal);
    for (const timer of this.#timers) clearTimeout(timer);
    const ended = new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
    });
    for (const socket of this.#sockets) socket.destroy();
    await ended;
    if (this.#journal !== undefined) closeSync(this.#journal);
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path.startsWith('/sim/')) this.#control(path, request, response);
    else if (request.method === 'GET' && path === '/health') this.#health(request, response);
    else if (request.method === 'POST') this.#soap(request, response);
    else this.#send(response, text(404, 'not found'));
  }

  #soap(request: IncomingMessage, response: ServerResponse): void {
    const ids = this.#idsOf(request);
    this.deliveries.started(ids);
    this.#note('header', ids);
    this.#read(request, response, (body) => {
      this.deliveries.completed(ids);
      this.#note('body', ids);
      const call = callOf(request, body);
      const reply = (): Reply => {
        if (request.headers[ECHO_HEADER] !== '1') return answerSoap(this.#sessions, call, this);
        const contentType = request.headers['content-type'] ?? 'application/octet-stream';
        return { status: 200, contentType, body };
      };
      const refusal = (): Reply => fault(call, this, 'simulated fault', 'Server');
      this.#act('soap', response, reply, refusal, this.#latencyMs);
    });
  }

  #health(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const { name, incarnation, startedAt } = this;
    const reply = (): Reply =>
      json(200, { status: 'ok', name, incarnation, startedAt, sessions: this.#sessions.size });
    this.#act('health', response, reply, () => json(500, { status: 'fault', name }), 0);
  }

  #control(path: string, request: IncomingMessage, response: ServerResponse): void {
    const what = `${request.method} ${path}`;
    if (what === 'GET /sim/deliveries') {
      request.resume();
      this.#send(response, json(200, this.deliveries.report((request.url ?? '').includes('ids=1'))));
    } else if (what === 'GET /sim/state') {
      request.resume();
      this.#send(response, json(200, this.#state()));
    } else if (what === 'POST /sim/behave') {
      this.#read(request, response, (body) => {
        let behaviour: Behaviour;
        try {
          behaviour = parseBehaviour(body.toString('utf8'));
        } catch (error) {
          this.#send(response, json(400, { error: (error as Error).message }));
          return;
        }
        this.behave(behaviour).then(
          () => this.#send(response, json(200, behaviour)),
          (error: unknown) => this.#send(response, json(500, { error: String(error) })),
        );
      });
    } else {
      request.resume();
      this.#send(response, json(404, { error: 'not found' }));
    }
  }

  /** Answers the request, or applies the current misbehaviour instead. */
  #act(
    target: Exclude<Target, 'all'>,
    response: ServerResponse,
    reply: () => Reply,
    refusal: () => Reply,
    latencyMs: number,
  ): void {
    const behaviour = this.#behaviourFor(target);
    const { socket } = response;
    switch (behaviour.mode) {
      case 'hang':
        return;
      case 'slow':
        this.#later(behaviour.ms ?? 1_000, () => this.#send(response, reply()));
        return;
      // These three fail after they have carried out the request: the worst case for a proxy.
      case 'reset':
        reply();
        socket?.resetAndDestroy();
        return;
      case 'reset-mid-response':
        this.#sendHalf(response, reply());
        return;
      case 'garbage':
        reply();
        socket?.write('\u0000\u0001 this is not HTTP \u0002\r\n\r\n');
        socket?.destroySoon();
        return;
      case 'fault':
        this.#send(response, refusal());
        return;
      case 'unavailable':
        this.#send(response, text(503, 'unavailable'));
        return;
      default:
        if (latencyMs > 0) this.#later(latencyMs, () => this.#send(response, reply()));
        else this.#send(response, reply());
    }
  }

  #behaviourFor(target: Exclude<Target, 'all'>): Behaviour {
    const { appliesTo = 'all', probability = 1 } = this.#behaviour;
    if (appliesTo !== 'all' && appliesTo !== target) return NORMAL;
    return probability < 1 && this.#random() >= probability ? NORMAL : this.#behaviour;
  }

  #read(request: IncomingMessage, response: ServerResponse, done: (body: Buffer) => void): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#maxBodyBytes) {
        request.removeAllListeners('data').removeAllListeners('end');
        response.shouldKeepAlive = false;
        this.#send(response, text(413, 'too large'));
        request.resume();
      } else {
        chunks.push(chunk);
      }
    });
    request.once('end', () => {
      done(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    // A client that has disconnected needs no answer.
    request.on('error', () => undefined);
  }

  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  #send(response: ServerResponse, reply: Reply): void {
    if (response.destroyed) return;
    response.end(this.#writeHead(response, reply));
  }

  #sendHalf(response: ServerResponse, reply: Reply): void {
    const body = this.#writeHead(response, reply);
    response.write(body.subarray(0, body.length >> 1), () => response.socket?.resetAndDestroy());
  }

  #writeHead(response: ServerResponse, { status, contentType, body }: Reply): Buffer {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    if (!this.#server.listening) response.shouldKeepAlive = false;
    response.writeHead(status, {
      'content-type': contentType,
      'content-length': bytes.length,
      [CONNECTOR_HEADER]: this.name,
      [INCARNATION_HEADER]: this.incarnation,
    });
    return bytes;
  }

  /** The ids under which a request is counted: the client's own and the one from the proxy. */
  #idsOf(request: IncomingMessage): string[] {
    const own = request.headers[DELIVERY_HEADER];
    const given = request.headers['x-request-id'];
    const ids: string[] = [];
    if (typeof own === 'string') ids.push(own);
    if (typeof given === 'string' && given !== own) ids.push(given);
    return ids;
  }

  /** Synchronous on purpose: data that the kernel holds survives a SIGKILL. */
  #note(event: 'header' | 'body', ids: readonly string[]): void {
    if (this.#journal === undefined) return;
    const at = (Number(process.hrtime.bigint()) / 1e6).toFixed(3);
    writeSync(this.#journal, `${event} ${at} ${this.incarnation} ${ids[0] ?? ''}\n`);
  }

  #state(): unknown {
    const { name, incarnation, startedAt, connections } = this;
    return {
      name,
      incarnation,
      startedAt,
      behaviour: this.#behaviour,
      connections,
      requests: this.deliveries.report(false).total,
      sessions: this.#sessions.all().map((session) => ({
        ...session,
        subscriptions: [...session.subscriptions].map(([appId, appUrl]) => ({ appId, appUrl })),
      })),
    };
  }
}

interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
}

function json(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

function text(status: number, line: string): Reply {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` };
}

function callOf(request: IncomingMessage, body: Buffer): SoapCall {
  const message = readMessage(decodeBody(body, request.headers['content-type']));
  const header = request.headers[USER_HEADER];
  return {
    message,
    user: (typeof header === 'string' ? header.trim() : '') || callerOf(message),
    sessionId: readCookie(request.headers.cookie, SESSION_COOKIE) ?? '',
    sha256: createHash('sha256').update(body).digest('hex'),
  };
}
