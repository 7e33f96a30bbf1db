import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Decision } from '../core/agent-bindings.ts';
import type { ErrorCode } from '../core/errors.ts';
import { GatewayError } from '../core/errors.ts';
import type { FailureKind } from '../core/failure.ts';
import type { InstanceId } from '../core/instance.ts';
import { networkOf } from '../core/network.ts';
import type { AgentAct } from '../core/recent-requests.ts';
import type { Route } from '../core/relay.ts';
import type { NamePlace, UnnamedReason } from '../core/seen-names.ts';
import type { Target } from '../core/target.ts';
import type { SoapVersion } from '../soap/media-type.ts';
import { soapVersionOf } from '../soap/media-type.ts';
import type { ScanResult } from '../soap/scan-result.ts';
import type { Attempt } from './attempt.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Pool } from './pool.ts';
import type { RequestBody } from './request-body.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import type { Upstream } from './upstream.ts';
import type { Sender } from './upstream-options.ts';
import type { Waiter, WaitQueue, Woken } from './wait-queue.ts';

// Most answers come sooner, so that a client that has ended its side seldom gets an interim one.
const ASK_AFTER_MS = 250;
// The first interim answer makes the system of a client that has left reset the connection; the second one meets that.
const INTERIM_ANSWERS = 2;

/** What is needed of Fastify's request. Requests with a method that Fastify does not know have only this. */
export type ClientRequest = Pick<FastifyRequest, 'id' | 'raw' | 'originalUrl'>;
export type ClientReply = Pick<FastifyReply, 'raw' | 'from'>;

/** A value that stands in the place of a name and is not used. */
export interface IgnoredValue {
  readonly source: NamePlace;
  readonly reason: string;
}

/** How a request was routed, for logs and metrics. */
export type RouteDecision = Decision | 'anonymous' | 'parked' | 'refused' | 'own';

/**
 * One request from its header to the last byte of its answer: what is known about it, what is running for it, and what
 * must stop when it ends.
 */
export class RequestContext implements Sender {
  readonly request: ClientRequest;
  readonly reply: ClientReply;
  /** In monotonic ms. */
  readonly startedAt: number;
  readonly connection: ClientConnection;
  /** The address of the client, as far as trusted proxies name it; `undefined` if they send something else. */
  readonly client: string | undefined;
  pool: Pool | undefined;
  /** The request target in origin form, exactly as sent. */
  path = '/';
  host: string | undefined;
  body: RequestBody | undefined;
  /** The version of the envelope, if the body was searched. */
  soapVersionOfBody: SoapVersion | undefined;
  user: string | undefined;
  session: string | undefined;
  /** The name is only in the body, and the operation is not a log-on. */
  userIsFound = false;
  sessionIsFound = false;
  /** The name is only in the body, in whatever operation. */
  userIsInBody = false;
  sessionIsInBody = false;
  address: string | undefined;
  /** Its names have been looked for. */
  isIdentified = false;
  /** What kept the body from naming an agent. */
  unnamedBecause: UnnamedReason | undefined;
  /** What the search of its body found, if it was searched. */
  found: ScanResult | undefined;
  /** The local name of the first element in the SOAP Body, if it was searched. */
  operation: string | undefined;
  /** An agent logs on with it; `undefined` until that is needed. */
  isLogon: boolean | undefined;
  /** The list in which its operation stands, as far as that was needed. */
  act: AgentAct | undefined;
  /** Why values in the places of names were not used. */
  ignored: IgnoredValue[] | undefined;
  /** The instance to which an ignored name from the body leads. */
  passedOver: InstanceId | undefined;

  decision: RouteDecision = 'refused';
  instance: InstanceId | undefined;
  /** The instance, its incarnation, and the binding that leads there. */
  target: Target | undefined;
  /** The agent was moved for this request, and the new instance does not know the agent. */
  sessionLost = false;
  epoch = 0;
  attempts = 0;
  attempt: Attempt | undefined;
  /** How its last attempt went to the instance. */
  route: Route = 'direct';
  failure: FailureKind | undefined;
  error: ErrorCode | undefined;
  parkedMs = 0;
  /** The upstream at which this request has waited for a place and got it. */
  reservedAt: Upstream | undefined;
  /** The total deadline has passed. */
  expired = false;
  /** Set if the rest of the request is malformed or too slow. */
  fault: GatewayError | undefined;
  /** The connection to the client is gone, or the answer is complete. */
  closed = false;
  /** It asks for the state of the gateway, so it is not a pool's traffic. */
  isStatePoll = false;
  /** What is left of `Max-Forwards`, if the gateway has to count it down. */
  maxForwards: number | undefined;
  /** It has more header fields than allowed; the parser dropped the rest. */
  tooManyHeaders = false;
  /** Its request line names HTTP. */
  isHttp = true;
  /** The connection ends with its answer. What the client sends behind it is dropped. */
  isLast = false;
  readonly #deadline: NodeJS.Timeout;
  readonly #drainer: { readonly isAnnounced: boolean };
  #waiter: Waiter | undefined;
  #asking: NodeJS.Timeout | undefined;

  constructor(
    request: ClientRequest,
    reply: ClientReply,
    connection: ClientConnection,
    totalMs: number,
    trustedProxies: TrustedProxies,
    drainer: { readonly isAnnounced: boolean },
  ) {
    this.#drainer = drainer;
    this.request = request;
    this.reply = reply;
    this.startedAt = performance.now();
    this.connection = connection;
    const forwardedFor = connection.isTrusted ? request.raw.headers['x-forwarded-for'] : undefined;
    this.client =
      forwardedFor === undefined
        ? connection.peer
        : trustedProxies.clientBehind(connection.peer, forwardedFor as string);
    this.#deadline = setTimeout(expire, totalMs, this);
  }

  ignore(source: NamePlace, reason: string): void {
    this.ignored ??= [];
    this.ignored.push({ source, reason });
  }

  /** The SOAP version, from the body if it was searched, else from the header; `undefined` if it is not SOAP. */
  get soapVersion(): SoapVersion | undefined {
    const { headers } = this.raw;
    return (
      this.soapVersionOfBody ??
      soapVersionOf(headers['content-type'], headers['soapaction'] as string | undefined)
    );
  }

  /** What counts as one client. */
  get network(): string {
    const { client, connection } = this;
    return client === undefined || client === connection.peer ? connection.network : networkOf(client);
  }

  get raw(): IncomingMessage {
    return this.request.raw;
  }

  get response(): ServerResponse {
    return this.reply.raw;
  }

  /** The client sends nothing more on its connection. It may still read the answer, or have left. */
  get clientHasEnded(): boolean {
    return this.raw.socket.readableEnded;
  }

  /** To be called before the header of the answer is written. Decides whether the connection stays open after it. */
  prepareAnswer(): void {
    if (this.isLast) this.connection.linger();
    if (this.isLast || this.#drainer.isAnnounced || (this.clientHasEnded && !this.connection.hasMore))
      this.response.shouldKeepAlive = false;
  }

  get elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** It has not ended, expired or turned out to be malformed, so work on it continues. */
  get isLive(): boolean {
    return !this.closed && !this.expired && this.fault === undefined;
  }

  /**
   * Waits in the queue for at most `maxMs`. The deadline, or the client leaving, cancels the wait. Returns `'full'` at
   * once if the queue is full, and later if this request gives way to one of another client.
   */
  async wait(queue: WaitQueue, maxMs: number): Promise<Woken> {
    if (!this.isLive) return 'cancelled';
    const waiter = queue.enter(Math.max(0, maxMs), this.network);
    if (waiter === undefined) return 'full';
    this.#waiter = waiter;
    const begunAt = performance.now();
    const how = await waiter.promise;
    this.#waiter = undefined;
    this.parkedMs += performance.now() - begunAt;
    return how;
  }

  /** Called at the total deadline. Stops everything that is running for the request. */
  expire(): void {
    if (this.closed) return;
    this.expired = true;
    this.#waiter?.cancel();
    this.body?.abandon(new GatewayError('GW_REQUEST_TIMEOUT'));
    this.attempt?.cancel('response-timeout');
    // An answer that has begun can no longer be replaced, only broken off.
    if (this.response.headersSent) this.response.destroy();
  }

  /** Called if the rest of the request is malformed or too slow. Stops everything that is running for it. */
  abandon(code: ErrorCode): void {
    if (this.closed) return;
    this.fault ??= new GatewayError(code);
    this.#waiter?.cancel();
    this.body?.abandon(this.fault);
    this.attempt?.cancel('client-aborted');
    // A complete answer, such as an early refusal, still goes out.
    if (this.response.headersSent && !this.response.writableEnded) this.response.destroy();
  }

  /** For how long its instance has been waiting for the client to send or to read, in ms. */
  stalledMs(now: number): number {
    return Math.max(this.body?.stalledMs(now) ?? 0, this.attempt?.unreadMs(now) ?? 0);
  }

  /** Called if others need its place at the instance. */
  giveWay(): void {
    this.error = 'GW_OVERLOADED';
    this.abandon('GW_OVERLOADED');
  }

  /** The client waits for this before it sends the body. Never sent to HTTP/1.0. */
  sendContinue(): void {
    if (this.raw.httpVersionMinor === 1) this.response.writeContinue();
  }

  /**
   * Called when the client has ended its side of the connection. A client that still reads gets its answer (RFC 9112
   * §9.6). One that has left looks the same, and its request should not wait for an instance or occupy one. Interim
   * answers tell them apart: only a client that reads does not answer them with a reset.
   */
  clientEnded(): void {
    // It has left in the middle of its body. If it asked for an upgrade, the parser does not say so.
    if (!this.raw.complete && !this.response.headersSent && !this.connection.isRefused) {
      this.response.destroy();
      return;
    }
    if (this.raw.httpVersionMinor === 0) return;
    this.#asking ??= setTimeout(askClient, ASK_AFTER_MS, this, INTERIM_ANSWERS);
  }

  askClient(times: number): void {
    if (this.closed || this.response.headersSent) return;
    this.response.writeContinue();
    if (times > 1) this.#asking = setTimeout(askClient, ASK_AFTER_MS, this, times - 1);
  }

  /** Called when the client has left or has its answer. */
  close(): void {
    this.closed = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#asking);
    this.#waiter?.cancel();
    if (this.response.writableFinished) return;
    this.failure = this.attempt?.brokeOff === true ? 'response-aborted' : 'client-aborted';
    this.attempt?.cancel('client-aborted');
  }
}

/** What {@link Admission} reads and notes. */
export type AdmittedRequest = Pick<
  RequestContext,
  'raw' | 'path' | 'host' | 'pool' | 'isLast' | 'isStatePoll' | 'maxForwards'
> &
  Readonly<Pick<RequestContext, 'isHttp' | 'tooManyHeaders' | 'client'>> & {
    readonly request: Pick<ClientRequest, 'originalUrl'>;
    readonly connection: Pick<ClientConnection, 'peer' | 'isTrusted'>;
  };

/** What {@link Identifier} reads and notes. */
export type IdentifiedRequest = Pick<
  RequestContext,
  | 'raw'
  | 'user'
  | 'session'
  | 'address'
  | 'userIsFound'
  | 'sessionIsFound'
  | 'userIsInBody'
  | 'sessionIsInBody'
  | 'soapVersionOfBody'
  | 'operation'
  | 'isIdentified'
  | 'unnamedBecause'
  | 'found'
  | 'ignore'
> &
  Readonly<Pick<RequestContext, 'client'>> & {
    readonly body: Pick<RequestBody, 'head' | 'complete' | 'collect'> | undefined;
  };

/** What {@link TargetFinder} reads and notes. */
export type RoutedRequest = Pick<
  RequestContext,
  | 'user'
  | 'session'
  | 'address'
  | 'userIsFound'
  | 'sessionIsFound'
  | 'sessionIsInBody'
  | 'ignore'
  | 'isLogon'
  | 'decision'
  | 'passedOver'
  | 'sessionLost'
  | 'epoch'
> & {
  readonly raw: Pick<IncomingMessage, 'headers'>;
  readonly request: Pick<ClientRequest, 'id'>;
};

function expire(context: RequestContext): void {
  context.expire();
}

function askClient(context: RequestContext, times: number): void {
  context.askClient(times);
}
