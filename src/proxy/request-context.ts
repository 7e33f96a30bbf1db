import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Decision } from '../core/agent-bindings.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { FailureKind } from '../core/failure.ts';
import type { InstanceId } from '../core/instance.ts';
import type { SoapVersion } from '../soap/media-type.ts';
import type { Attempt } from './attempt.ts';
import { peerAddress } from './peer-address.ts';
import type { Pool } from './pools.ts';
import type { RequestBody } from './request-body.ts';
import type { Target } from './target.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import type { Upstream } from './upstream.ts';
import type { Waiter, WaitQueue, Woken } from './wait-queue.ts';

/** How a request was routed, for logs and metrics (src/README.md: life of a request). */
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
  /** Who the connection is from; empty if he had left already. */
  readonly peer: string;
  /** Where the request came from, as far as trusted proxies tell; `undefined` if that is no address. */
  readonly client: string | undefined;
  pool: Pool | undefined;
  /** Origin form of the target, exactly as it came. */
  path = '/';
  host: string | undefined;
  body: RequestBody | undefined;
  soapVersion: SoapVersion | undefined;
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
  /** By what it goes to that instance. */
  way: Target | undefined;
  /** The agent was moved for this request: the instance that he goes to now does not know him. */
  sessionLost = false;
  epoch = 0;
  attempts = 0;
  attempt: Attempt | undefined;
  failure: FailureKind | undefined;
  error: ErrorCode | undefined;
  parkedMs = 0;
  /** A place at an instance that was kept for this request while it waited for one. */
  place: Upstream | undefined;
  /** The total deadline has passed. */
  expired = false;
  /** Set where the rest of the request turned out to be malformed or too slow. */
  refusal: ErrorCode | undefined;
  /** The connection to the client is gone, or the answer is complete. */
  closed = false;
  /** Answered with the state of the gateway: nobody's traffic. */
  isStatePoll = false;
  /** More header fields than allowed; those beyond were dropped by the parser. */
  tooManyHeaders = false;
  readonly #deadline: NodeJS.Timeout;
  #waiter: Waiter | undefined;

  constructor(request: FastifyRequest, reply: FastifyReply, totalMs: number, trustedProxies: TrustedProxies) {
    this.request = request;
    this.reply = reply;
    this.startedAt = performance.now();
    const { socket, headers } = request.raw;
    this.peer = peerAddress(socket);
    this.client = trustedProxies.clientBehind(this.peer, headers['x-forwarded-for'] as string | undefined);
    this.#deadline = setTimeout(expire, totalMs, this);
  }

  ignore(reason: string): void {
    this.ignored ??= [];
    this.ignored.push(reason);
  }

  get raw(): IncomingMessage {
    return this.request.raw;
  }

  get response(): ServerResponse {
    return this.reply.raw;
  }

  get elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** Neither ended nor out of time nor malformed: it is worth going on. */
  get isLive(): boolean {
    return !this.closed && !this.expired && this.refusal === undefined;
  }

  /**
   * Waits in the room, no longer than `maxMs`; the deadline and the client's leaving cancel the wait.
   * Returns `'full'` at once where the room is full.
   */
  async wait(room: WaitQueue, maxMs: number): Promise<Woken | 'full'> {
    if (!this.isLive) return 'cancelled';
    const waiter = room.enter(Math.max(0, maxMs));
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
    this.body?.abandon('GW_REQUEST_TIMEOUT');
    this.attempt?.cancel('response-timeout');
    // An answer that has begun cannot become another one; only its end can be told.
    if (this.response.headersSent) this.response.destroy();
  }

  /** The rest of the request will not come as it should: ends whatever the request is in. */
  abandon(code: ErrorCode): void {
    if (this.closed) return;
    this.refusal ??= code;
    this.#waiter?.cancel();
    this.body?.abandon(code);
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
