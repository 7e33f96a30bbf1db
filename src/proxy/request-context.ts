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
 * One request from its header to the last byte of its answer: what is known of
 * it, what is under way for it, and what has to end when it ends.
 */
export class RequestContext {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Monotonic ms. */
  readonly startedAt: number;
  readonly connection: ClientConnection;
  /** Where the request came from, as far as trusted proxies tell; `undefined` if that is no address. */
  readonly client: string | undefined;
  pool: Pool | undefined;
  /** Origin form of the target, exactly as it came. */
  path = '/';
  host: string | undefined;
  body: RequestBody | undefined;
  /** What the envelope says, where the body was searched. */
  soapVersionOfBody: SoapVersion | undefined;
  user: string | undefined;
  session: string | undefined;
  /** The name stands in the body alone, and in no operation that says whose it is. */
  userIsFound = false;
  sessionIsFound = false;
  address: string | undefined;
  /** Local name of the first element in the SOAP Body, where it was searched. */
  operation: string | undefined;
  /** Why what stands where names do was not used. */
  ignored: string[] | undefined;
  /** Where a name leads that was found in the body and passed over. */
  passedOver: InstanceId | undefined;

  decision: RouteDecision = 'refused';
  instance: InstanceId | undefined;
  /** Where it goes at that instance, and by which binding. */
  target: Target | undefined;
  /** The agent was moved for this request: the new instance does not know the agent. */
  sessionLost = false;
  epoch = 0;
  attempts = 0;
  attempt: Attempt | undefined;
  failure: FailureKind | undefined;
  error: ErrorCode | undefined;
  parkedMs = 0;
  /** The upstream that has kept one of its places free for this request, which waited for it. */
  reservedAt: Upstream | undefined;
  /** The total deadline has passed. */
  expired = false;
  /** Set where the rest of the request turned out to be malformed or too slow. */
  fault: GatewayError | undefined;
  /** The connection to the client is gone, or the answer is complete. */
  closed = false;
  /** Answered with the state of the gateway; no traffic of a pool. */
  isStatePoll = false;
  /** More header fields than allowed; those beyond were dropped by the parser. */
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

  /** What kind of SOAP it speaks: by its body where that was searched, else by its header; undefined where it does not. */
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

  /** To be called before the header of the answer is written: how its connection goes on after it. */
  prepareAnswer(): void {
    // What is left of the body is not to be taken for a request.
    if (!this.raw.complete) this.connection.linger();
    if (this.#drainer.isAnnounced) this.response.shouldKeepAlive = false;
  }

  get elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** Neither ended nor out of time nor malformed: it is worth going on. */
  get isLive(): boolean {
    return !this.closed && !this.expired && this.fault === undefined;
  }

  /**
   * Waits in the queue, no longer than `maxMs`; the deadline, and the client that leaves, cancel the wait.
   * Returns `'full'` at once where the queue is full.
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

  /** The total deadline: ends whatever the request is in. */
  expire(): void {
    if (this.closed) return;
    this.expired = true;
    this.#waiter?.cancel();
    this.body?.abandon(new GatewayError('GW_REQUEST_TIMEOUT'));
    this.attempt?.cancel('response-timeout');
    // An answer that has begun cannot become another one; only its end can be told.
    if (this.response.headersSent) this.response.destroy();
  }

  /** The rest of the request will not come as it should: ends whatever the request is in. */
  abandon(code: ErrorCode): void {
    if (this.closed) return;
    this.fault ??= new GatewayError(code);
    this.#waiter?.cancel();
    this.body?.abandon(this.fault);
    this.attempt?.cancel('client-aborted');
    if (this.response.headersSent) this.response.destroy();
  }

  /** The client left, or has its answer. */
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
