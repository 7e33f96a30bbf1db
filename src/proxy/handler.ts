import type { ErrorCode } from '../core/errors.ts';
import { ERRORS, GatewayError } from '../core/errors.ts';
import { FAILURES } from '../core/failure.ts';
import type { GatewayState } from '../core/lifecycle.ts';
import type { Coordinator } from '../core/ports.ts';
import type { StatePages } from '../core/state-page.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { identifyAgent } from './agent.ts';
import type { AttemptOutcome } from './attempt.ts';
import { Attempt } from './attempt.ts';
import type { Forwarder } from './forwarder.ts';
import { checkFraming, originForm } from './framing.ts';
import { connectionTokens, hasForwardingHeaders, requestHeaders } from './headers.ts';
import type { Identifier } from './identify.ts';
import { LogonSearch } from './logon.ts';
import type { Maintenance } from './maintenance.ts';
import { maintenanceAnswer } from './maintenance.ts';
import type { Pool, PoolTable } from './pools.ts';
import type { FaultStatus, OwnAnswer } from './reply-with-fault.ts';
import { ownAnswer, sendOwnAnswer } from './reply-with-fault.ts';
import { RequestBody } from './request-body.ts';
import type { RequestContext } from './request-context.ts';
import type { Router, Wait, WaitReason } from './router.ts';
import { checkTarget, waitedInVain } from './router.ts';
import type { Target } from './target.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import type { Upstream } from './upstream.ts';
import type { Woken } from './wait-queue.ts';

export interface ProxyHandlerOptions {
  readonly pools: PoolTable<Pool>;
  readonly identifier: Identifier;
  readonly router: Router;
  readonly coordinator: Coordinator;
  readonly forwarder: Forwarder;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly faultStatus: FaultStatus;
  readonly parkMs: number;
  readonly maxInFlight: number;
  readonly maxBodyBytes: number;
  /** Bodies up to this size are read whole before anything is forwarded. */
  readonly heldBytes: number;
  readonly trustedProxies: TrustedProxies;
  /** Whether what only trusted proxies may tell is refused from others, not just replaced. */
  readonly refusesUntrusted: boolean;
  readonly keepClientHost: boolean;
  readonly requestIdHeader: string;
  readonly via: string;
  readonly scheme: 'http' | 'https';
  readonly statePages: StatePages;
  readonly condition: GatewayState;
  readonly maintenance: Maintenance;
}

/** What a parked request waits for: to find a way, or for an instance that did not take it. */
interface ParkedFor extends Omit<Wait, 'wait'> {
  readonly wait: WaitReason | 'refused';
}

const REFUSED: ParkedFor = { wait: 'refused', againMs: Number.POSITIVE_INFINITY };
// Reached only where an instance refuses connections and passes its probes in turn.
const MAX_ATTEMPTS = 50;

/** The life of a request, from top to bottom. */
export class ProxyHandler {
  readonly #options: ProxyHandlerOptions;
  readonly #logons: LogonSearch;
  #inFlight = 0;

  constructor(options: ProxyHandlerOptions) {
    this.#options = options;
    this.#logons = new LogonSearch(options.heldBytes);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Answers the request, whatever happens. Never rejects. */
  async serve(context: RequestContext): Promise<void> {
    this.#inFlight += 1;
    try {
      const refusal = await this.#answer(context);
      if (refusal !== undefined) this.#refuse(context, refusal);
    } catch (error) {
      if (context.closed) return;
      if (error instanceof GatewayError) {
        this.#refuse(context, error.code);
      } else if (context.raw.destroyed && !context.raw.complete) {
        // The client left, or its body was malformed and the parser has answered already.
        context.failure ??= 'client-aborted';
      } else {
        this.#options.logger.error(
          { err: error, requestId: context.request.id },
          'request failed in the gateway',
        );
        this.#refuse(context, 'GW_INTERNAL');
      }
    } finally {
      this.#inFlight -= 1;
      context.place?.leave();
    }
  }

  /** Returns what to refuse the request with, or `undefined` when it has its answer. */
  async #answer(context: RequestContext): Promise<ErrorCode | undefined> {
    const refusal = await this.#accept(context);
    if (refusal !== undefined) return refusal;
    if (!context.isStatePoll) return this.#deliver(context, context.pool as Pool);
    this.#tellState(context);
    return undefined;
  }

  /** Everything that can be said against a request before anybody is asked. */
  async #accept(context: RequestContext): Promise<ErrorCode | undefined> {
    const { raw } = context;
    const framing = checkFraming(raw);
    const target = originForm(context.request.originalUrl);
    // Known first, so that even a refusal reaches a SOAP caller as a Fault.
    const ambiguity = this.#options.identifier.readHeader(context);
    if (context.tooManyHeaders) return 'GW_HEADER_TOO_LARGE';
    if (framing.refusal !== undefined) return framing.refusal;
    // TRACE would show the cookies that it was sent with to whoever reads the answer.
    if (raw.method === 'TRACE') return 'GW_METHOD_UNSUPPORTED';
    if (target === undefined) return 'GW_REQUEST_MALFORMED';
    context.path = target.path;
    // Also when there is too much to do: that the balancer takes this gateway out would not make it less for the others.
    if (this.#options.statePages.covers(target.path)) {
      context.isStatePoll = raw.method === 'GET' || raw.method === 'HEAD';
      return context.isStatePoll ? undefined : 'GW_METHOD_UNSUPPORTED';
    }
    if (this.#inFlight > this.#options.maxInFlight) return 'GW_OVERLOADED';
    if (
      this.#options.refusesUntrusted &&
      hasForwardingHeaders(raw) &&
      !this.#options.trustedProxies.includes(context.peer)
    )
      return 'GW_FORWARDED_UNTRUSTED';
    context.host = target.host ?? framing.host;
    context.pool = this.#options.pools.find(context.host, context.path);
    if (context.pool === undefined) return 'GW_POOL_UNKNOWN';
    if (this.#options.condition.isInMaintenance()) return 'GW_MAINTENANCE';
    context.pool.lastRequestAt = context.startedAt;
    if (ambiguity !== undefined) return ambiguity;

    const body = new RequestBody(raw, framing.contentLength, framing.chunked, this.#options.maxBodyBytes);
    context.body = body;
    // A small body is read first: then it can be sent again, and half a body is never forwarded.
    if (body.mayFit(this.#options.heldBytes)) await body.collect(this.#options.heldBytes);
    return identifyAgent(context, context.pool, this.#options.identifier, this.#options.router);
  }

  /**
   * Routes and sends, and again as long as nothing was sent. Returns what to
   * refuse the request with, or `undefined` when it has its answer.
   */
  async #deliver(context: RequestContext, pool: Pool): Promise<ErrorCode | undefined> {
    let parkUntil: number | undefined;
    let inVain: ErrorCode = 'GW_NO_INSTANCE';
    while (context.isLive && context.attempts < MAX_ATTEMPTS) {
      const { changes } = pool;
      const route = await this.#options.router.route(pool, context);
      if (context.sessionLost && (await this.#mustBeTold(context, pool))) return 'GW_SESSION_LOST';
      let wait = REFUSED;
      if ('wait' in route) {
        inVain = waitedInVain(route, pool.routingState);
        wait = route;
        takePlace(context, undefined);
      } else {
        const upstream = pool.upstreams.get(route.instance) as Upstream;
        if (!takePlace(context, upstream)) {
          const refusal = await this.#queue(context, upstream);
          if (refusal !== undefined) return refusal;
          continue;
        }
        context.way = route;
        const outcome = await this.#attempt(context, pool, upstream, route);
        if (outcome === 'answered') return undefined;
        // What it was sent by has changed meanwhile.
        if (context.attempt?.withdrawn === true) continue;
        const { mayRetry, hastensProbe, answer } = FAILURES[outcome];
        if (hastensProbe) this.#options.coordinator.suspect(pool.name, upstream.id);
        if (route.entry !== undefined) pool.bindings.invalidate(route.entry);
        if (!mayRetry) return context.refusal ?? context.attempt?.refusal ?? answer;
        inVain = answer ?? inVain;
      }
      // What it would wait for has happened since its route was looked for.
      if (pool.changes !== changes) continue;
      const now = performance.now();
      parkUntil ??= now + this.#options.parkMs;
      const how = await this.#park(context, pool, wait, parkUntil - now);
      if (how === 'full') return 'GW_OVERLOADED';
      if (how === 'timeout') {
        context.decision = 'parked';
        return inVain;
      }
    }
    return context.refusal ?? (context.expired ? 'GW_DEADLINE' : inVain);
  }

  /** An agent who goes on as if nothing had happened is told that his session is gone; once, as he has been moved. */
  async #mustBeTold(context: RequestContext, { sessionLost }: Pool): Promise<boolean> {
    if (sessionLost.answer === 'pass') return false;
    return !(await this.#logons.isLogon(context, sessionLost.logonOperations));
  }

  /** Waits for a place at an instance that has as many requests as it may have. */
  async #queue(context: RequestContext, upstream: Upstream): Promise<ErrorCode | undefined> {
    const how = await context.wait(upstream.queue, this.#options.parkMs);
    // Dismissed: the instance is lost, and a place has to be found elsewhere.
    if (how === 'changed') context.place = upstream;
    this.#options.metrics.parked.inc({ pool: context.pool?.name ?? '', reason: 'place', outcome: how });
    return how === 'full' || how === 'timeout' ? 'GW_UPSTREAM_BUSY' : undefined;
  }

  /** Waits for a change, for no longer than `maxMs`; `again` where it is time to look without one. */
  async #park(
    context: RequestContext,
    pool: Pool,
    { wait: reason, againMs }: ParkedFor,
    maxMs: number,
  ): Promise<Woken | 'full' | 'again'> {
    const woken = await context.wait(pool.parking, Math.min(maxMs, againMs));
    const how = woken === 'timeout' && againMs < maxMs ? 'again' : woken;
    this.#options.metrics.parked.inc({ pool: pool.name, reason, outcome: how });
    return how;
  }

  async #attempt(
    context: RequestContext,
    pool: Pool,
    upstream: Upstream,
    way: Target,
  ): Promise<AttemptOutcome> {
    const { body } = context;
    context.attempts += 1;
    context.instance = upstream.id;
    context.failure = undefined;
    const attempt = new Attempt(upstream, {
      path: context.path,
      headers: this.#headers(context, upstream),
      body: body?.payload() ?? null,
      way,
      maySend: () => maySend(context, pool),
      isAwaited: () => !context.closed && !context.raw.aborted,
    });
    const outcome = await this.#options.forwarder.forward(context, attempt);
    const { withdrawn } = attempt;
    this.#options.metrics.attempts.inc(pool.name, upstream.id, withdrawn ? 'withdrawn' : outcome);
    if (outcome !== 'answered' && !withdrawn) context.failure = outcome;
    return outcome;
  }

  #headers(context: RequestContext, upstream: Upstream): string[] {
    const { raw, peer } = context;
    return requestHeaders({
      rawHeaders: raw.rawHeaders,
      connectionTokens: connectionTokens(raw.headers.connection),
      host: this.#options.keepClientHost ? (context.host ?? upstream.authority) : upstream.authority,
      contentLength: context.body?.declaredLength,
      peerAddress: peer,
      peerTrusted: this.#options.trustedProxies.includes(peer),
      scheme: this.#options.scheme,
      clientHost: context.host,
      requestIdHeader: this.#options.requestIdHeader,
      requestId: context.request.id,
      via: this.#options.via,
    });
  }

  #tellState(context: RequestContext): void {
    this.#send(
      context,
      { ...this.#options.statePages.answer(this.#options.condition.state()), contentType: 'text/plain' },
      false,
    );
  }

  #refuse(context: RequestContext, code: ErrorCode): void {
    if (context.closed || context.response.headersSent) return;
    context.error = code;
    const { soapVersion } = context;
    const plain = ownAnswer(code, soapVersion, context.request.id, this.#options.faultStatus);
    const { maintenance } = this.#options;
    const answer =
      code === 'GW_MAINTENANCE' ? maintenanceAnswer(maintenance, plain, soapVersion !== undefined) : plain;
    this.#send(context, answer, ERRORS[code].source === 'client');
  }

  #send({ response, raw, request }: RequestContext, answer: OwnAnswer, close: boolean): void {
    // What is left of a body that nobody reads, or a framing that is not trusted, must not be taken for a request.
    sendOwnAnswer(response, answer, [this.#options.requestIdHeader, request.id], close || !raw.complete);
  }
}

/** True if the request has a place at the upstream: one that was kept for it, or a free one. Gives up any other. */
function takePlace(context: RequestContext, upstream: Upstream | undefined): boolean {
  const kept = context.place;
  context.place = undefined;
  if (kept !== undefined && kept === upstream) return true;
  kept?.leave();
  return upstream?.tryEnter() ?? false;
}

/** Asked right before the first byte: the lease may have ended or the view changed since the route was found. */
function maySend(context: RequestContext, { routingState }: Pool): boolean {
  const { way } = context;
  if (!context.isLive || way === undefined) return false;
  return checkTarget(routingState, way, performance.now(), Date.now()) === 'forward';
}
