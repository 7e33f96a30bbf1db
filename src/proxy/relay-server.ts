import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import { judgeRelayed } from '../core/relay.ts';
import type { SharedKey } from '../sockets/shared-key.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { InnerHandler } from './attempt.ts';
import { Attempt } from './attempt.ts';
import type { Pool } from './pool.ts';
import type { RelayedRequestHead, RelayOrder, RelayOutcome } from './relay-message.ts';
import {
  encodeHead,
  isRequestHead,
  ORDER_FIELD,
  OUTCOME_FIELD,
  orderFromField,
  RELAY_PATH,
  STILL_WAITING_MS,
  splitHead,
} from './relay-message.ts';
import type { Upstream } from './upstream.ts';
import type { Sender } from './upstream-options.ts';

export interface RelayServerOptions {
  readonly key: SharedKey;
  readonly pools: readonly Pool[];
  /** The longest request: its head as JSON, and its body. */
  readonly messageBytes: number;
  /** Write a line for each request. */
  readonly logRequests: boolean;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

// Peers are a handful of gateways, each with as many connections as requests that it relays.
const CONNECTIONS = 1_000;
const HEADER_BYTES = 32 * 1_024;
// Peers are in the same data centre, and send what they have.
const ARRIVAL_MS = 5_000;

/**
 * Takes requests of peers that cannot reach an instance. Each is judged by the view and lease of this gateway, at first
 * and right before its first byte, and goes to the instance or back: this gateway relays nothing further.
 */
export class RelayServer {
  readonly server: Server;
  readonly #options: RelayServerOptions;
  readonly #pools: ReadonlyMap<string, Pool>;

  constructor(options: RelayServerOptions) {
    this.#options = options;
    this.#pools = new Map(options.pools.map((pool) => [pool.name, pool]));
    this.server = createServer({
      ...options.key.server,
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: ARRIVAL_MS,
      requestTimeout: ARRIVAL_MS,
      handshakeTimeout: ARRIVAL_MS,
    });
    this.server.maxConnections = CONNECTIONS;
    this.server
      .on('checkContinue', (request, response) => void this.#serve(request, response))
      // Without `Expect`, the body would come before the request is judged.
      .on('request', (_request, response) => end(response, 400, 'unsent'))
      .on('tlsClientError', (error, socket) => {
        this.#options.logger.warn(
          { err: error, peer: socket.remoteAddress },
          'a connection to the address for peers failed: the other side may have another key (peers.keyFile)',
        );
      });
  }

  /** Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#relay(request, response);
    } catch (error) {
      this.#options.logger.error({ err: error }, 'relaying a request failed in the gateway');
      response.destroy();
    }
  }

  async #relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const order = request.url === RELAY_PATH ? orderFromField(request.headers[ORDER_FIELD]) : undefined;
    if (order === undefined) return end(response, 400, 'unsent');
    const pool = this.#pools.get(order.pool);
    const upstream = pool?.upstreams.get(order.target.instance);
    if (pool === undefined || upstream === undefined) return end(response, 404, 'unsent');
    const maySend = (): boolean =>
      !response.destroyed && judgeRelayed(pool.routingState, order, performance.now(), Date.now());
    const network = `peer ${request.socket.remoteAddress ?? ''}`;
    if (!maySend()) return end(response, 409, 'unsent');
    if (!upstream.tryEnter(network)) return end(response, 503, 'unsent');
    let head: { readonly head: RelayedRequestHead; readonly body: Buffer } | undefined;
    try {
      response.writeContinue();
      head = await this.#read(request);
    } finally {
      // Otherwise the attempt leaves it.
      if (head === undefined) upstream.leave(network);
    }
    if (head === undefined) return end(response, 400, 'unsent');
    const attempt = new Attempt(upstream, {
      path: head.head.path,
      headers: head.head.headers,
      body: head.body.length === 0 ? null : head.body,
      target: order.target,
      maySend,
      isAwaited: () => !response.destroyed,
      sender: new PeerSender(network, response, (now) => attempt.unreadMs(now)),
    });
    await this.#send(order, head.head.method, attempt, upstream, pool, response);
  }

  async #send(
    order: RelayOrder,
    method: string,
    attempt: Attempt,
    upstream: Upstream,
    pool: Pool,
    response: ServerResponse,
  ): Promise<void> {
    const begunAt = performance.now();
    const still = setInterval(() => response.writeProcessing(), STILL_WAITING_MS);
    response.once('close', () => attempt.cancel('client-aborted'));
    attempt.dispatch({ method } as Parameters<Attempt['dispatch']>[0], new AnswerWriter(attempt, response));
    const how = await attempt.outcome.finally(() => clearInterval(still));
    const { isUnsent } = attempt;
    const outcome: RelayOutcome = how !== 'answered' && isUnsent ? 'unsent' : how;
    const { metrics, logger, logRequests } = this.#options;
    metrics.attempts.inc(pool.name, upstream.id, attempt.withdrawn ? 'withdrawn' : how);
    metrics.relays.inc({ pool: pool.name, instance: upstream.id, direction: 'in', outcome });
    if (logRequests)
      logger.info(
        {
          requestId: order.requestId,
          pool: pool.name,
          instance: upstream.id,
          epoch: pool.routingState.view.epoch,
          outcome,
          durationMs: Math.round(performance.now() - begunAt),
        },
        'relayed a request for a peer',
      );
    if (outcome !== 'answered') end(response, isUnsent ? 409 : 502, outcome);
  }

  /** The request that the peer sends; `undefined` if it has another form or breaks off. */
  async #read(
    request: IncomingMessage,
  ): Promise<{ readonly head: RelayedRequestHead; readonly body: Buffer } | undefined> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > this.#options.messageBytes) return undefined;
        chunks.push(chunk);
      }
    } catch {
      // The peer has given up.
      return undefined;
    }
    const split = splitHead(Buffer.concat(chunks));
    return split !== undefined && isRequestHead(split.head)
      ? { head: split.head, body: split.rest }
      : undefined;
  }
}

/** Passes the answer of the instance on to the peer. */
class AnswerWriter implements InnerHandler {
  readonly #attempt: Attempt;
  readonly #response: ServerResponse;
  #resume: () => void = () => {};

  constructor(attempt: Attempt, response: ServerResponse) {
    this.#attempt = attempt;
    this.#response = response;
    response.on('drain', () => this.#resume());
  }

  onConnect(): void {}

  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    if (status < 200) return true;
    this.#resume = resume;
    this.#attempt.settle('answered');
    this.#response.writeHead(200, {
      connection: 'close',
      'content-type': 'application/octet-stream',
      [OUTCOME_FIELD]: 'answered' satisfies RelayOutcome,
    });
    const fields = headers.map((bytes) => bytes.toString('latin1'));
    const head = encodeHead({ status, statusText, headers: fields });
    const { whole } = this.#attempt;
    return this.#response.write(whole === undefined ? head : Buffer.concat([head, whole]));
  }

  onData(chunk: Buffer): boolean {
    return this.#response.write(chunk);
  }

  onComplete(): void {
    this.#response.end();
  }

  onError(error: Error): void {
    if (this.#response.headersSent) this.#response.destroy();
    this.#attempt.fail(error);
  }
}

/** A peer, as an instance sees the client of a request. */
class PeerSender implements Sender {
  readonly network: string;
  readonly #response: ServerResponse;
  readonly stalledMs: (now: number) => number;

  constructor(network: string, response: ServerResponse, stalledMs: (now: number) => number) {
    this.network = network;
    this.#response = response;
    this.stalledMs = stalledMs;
  }

  giveWay(): void {
    this.#response.destroy();
  }
}

function end(response: ServerResponse, status: number, outcome: RelayOutcome): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, { connection: 'close', 'content-length': '0', [OUTCOME_FIELD]: outcome });
  response.end();
}
