import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Decision } from '../core/agent-bindings.ts';
import type { ErrorCode } from '../core/errors.ts';
import { GatewayError } from '../core/errors.ts';
import type { FailureKind } from '../core/failure.ts';
import type { InstanceId } from '../core/instance.ts';
import type { Target } from '../core/target.ts';
import type { SoapVersion } from '../soap/media-type.ts';
import { soapVersionOf } from '../soap/media-type.ts';
import type { Attempt } from './attempt.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Pool } from './pool.ts';
import type { RequestBody } from './request-body.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import type { Upstream } from './upstream.ts';
import type { Waiter, WaitQueue, Woken } from './wait-queue.ts';

/** How a request was routed, for logs and metrics. */
export type RouteDecision = Decision | 'anonymous' | 'parked' | 'refused';

/**
 * One request from its header to the last byte of its answer: what is known about it, what is running for it, and what
 * must stop when it ends.
 */
export class RequestContext {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
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
  address: string | undefined;
  /** The local name of the first element in the SOAP Body, if it was searched. */
  operation: string | undefined;
  /** Why values in the places of names were not used. */
  ignored: string[] | undefined;
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
  /** It has more header fields than allowed; the parser dropped the rest. */
  tooManyHeaders = false;
  readonly #deadline: NodeJS.Timeout;
  readonly #drainer: { readonly isAnnounced: boolean };
  #waiter: Waiter | undefined;

  constructor(
    request: FastifyRequest,
    reply: FastifyReply,
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

  ignore(reason: string): void {
    this.ignored ??= [];
    this.ignored.push(reason);
  }

  /** The SOAP version, from the body if it was searched, else from the header; `undefined` if it is not SOAP. */
  get soapVersion(): SoapVersion | undefined {
    const { headers } = this.raw;
    return (
      this.soapVersionOfBody ??
      soapVersionOf(headers['content-type'], headers['soapaction'] as string | undefined)
    );
  }

  get raw(): IncomingMessage {
    return this.request.raw;
  }

  get response(): ServerResponse {
    return this.reply.raw;
  }

  /** To be called before the header of the answer is written. Decides whether the connection stays open after it. */
  prepareAnswer(): void {
    // The rest of the body must not be taken for a request.
    if (!this.raw.complete) this.connection.linger();
    if (this.#drainer.isAnnounced) this.response.shouldKeepAlive = false;
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
   * once if the queue is full.
   */
  async wait(queue: WaitQueue, maxMs: number): Promise<Woken | 'full'> {
    if (!this.isLive) return 'cancelled';
    const waiter = queue.enter(Math.max(0, maxMs));
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
    if (this.response.headersSent) this.response.destroy();
  }

  /** Called when the client has left or has its answer. */
  close(): void {
    this.closed = true;
    clearTimeout(this.#deadline);
    this.#waiter?.cancel();
    if (this.response.writableFinished) return;
    this.failure = this.attempt?.brokeOff === true ? 'response-aborted' : 'client-aborted';
    this.attempt?.cancel('client-aborted');
  }
}

function expire(context: RequestContext): void {
  context.expire();
}
