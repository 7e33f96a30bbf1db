import type { ErrorCode } from '../core/errors.ts';
import { ERRORS, GatewayError } from '../core/errors.ts';
import { FAILURES } from '../core/failure.ts';
import type { Condition } from '../core/lifecycle.ts';
import type { Coordinator } from '../core/ports.ts';
import type { StatePages } from '../core/state-page.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { identifyAgent } from './agent.ts';
import type { AttemptOutcome } from './attempt.ts';
import { Attempt } from './attempt.ts';
import type { Exchange } from './request-context.ts';
import type { Forwarder } from './forwarder.ts';
import { checkFraming, originForm } from './framing.ts';
import { connectionTokens, requestHeaders, tellsOfProxies } from './headers.ts';
import type { Identifier } from './identify.ts';
import { LogonSearch } from './logon.ts';
import type { Maintenance } from './maintenance.ts';
import { maintenanceAnswer } from './maintenance.ts';
import type { Pool, PoolTable } from './pools.ts';
import type { FaultStatus, OwnAnswer } from './reply-with-fault.ts';
import { ownAnswer, sendOwnAnswer } from './reply-with-fault.ts';
import { RequestBody } from './request-body.ts';
import type { Router, Wait, WaitReason, Way } from './router.ts';
import { judgeWay, waitedInVain } from './router.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import type { Upstream } from './upstream.ts';
import type { Woken } from './wait-queue.ts';

export interface ServeOptions {
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
  readonly condition: Condition;
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
export class Server {
  readonly #o: ServeOptions;
  readonly #logons: LogonSearch;
  #inFlight = 0;

  constructor(options: ServeOptions) {
    this.#o = options;
    this.#logons = new LogonSearch(options.heldBytes);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Answers the request, whatever happens. Never rejects. */
  async serve(exchange: Exchange): Promise<void> {
    this.#inFlight += 1;
    try {
      const refusal = await this.#answer(exchange);
      if (refusal !== undefined) this.#refuse(exchange, refusal);
    } catch (error) {
      if (exchange.closed) return;
      if (error instanceof GatewayError) {
        this.#refuse(exchange, error.code);
      } else if (exchange.raw.destroyed && !exchange.raw.complete) {
        // The client left, or its body was malformed and the parser has answered already.
        exchange.failure ??= 'client-aborted';
      } else {
        this.#o.logger.error({ err: error, requestId: exchange.request.id }, 'request failed in the gateway');
        this.#refuse(exchange, 'GW_INTERNAL');
      }
    } finally {
      this.#inFlight -= 1;
      exchange.place?.leave();
    }
  }

  /** Returns what to refuse the request with, or `undefined` when it has its answer. */
  async #answer(exchange: Exchange): Promise<ErrorCode | undefined> {
    const refusal = await this.#accept(exchange);
    if (refusal !== undefined) return refusal;
    if (!exchange.isStatePoll) return this.#deliver(exchange, exchange.pool as Pool);
    this.#tellState(exchange);
    return undefined;
  }

  /** Everything that can be said against a request before anybody is asked. */
  async #accept(exchange: Exchange): Promise<ErrorCode | undefined> {
    const { raw } = exchange;
    const framing = checkFraming(raw);
    const target = originForm(exchange.request.originalUrl);
    // Known first, so that even a refusal reaches a SOAP caller as a Fault.
    const ambiguity = this.#o.identifier.readHeader(exchange);
    if (exchange.tooManyHeaders) return 'GW_HEADER_TOO_LARGE';
    if (framing.refusal !== undefined) return framing.refusal;
    // TRACE would show the cookies that it was sent with to whoever reads the answer.
    if (raw.method === 'TRACE') return 'GW_METHOD_UNSUPPORTED';
    if (target === undefined) return 'GW_REQUEST_MALFORMED';
    exchange.path = target.path;
    // Also when there is too much to do: that the balancer takes this gateway out would not make it less for the others.
    if (this.#o.statePages.covers(target.path)) {
      exchange.isStatePoll = raw.method === 'GET' || raw.method === 'HEAD';
      return exchange.isStatePoll ? undefined : 'GW_METHOD_UNSUPPORTED';
    }
    if (this.#inFlight > this.#o.maxInFlight) return 'GW_OVERLOADED';
    if (this.#o.refusesUntrusted && tellsOfProxies(raw) && !this.#o.trustedProxies.includes(exchange.peer))
      return 'GW_FORWARDED_UNTRUSTED';
    exchange.host = target.host ?? framing.host;
    exchange.pool = this.#o.pools.find(exchange.host, exchange.path);
    if (exchange.pool === undefined) return 'GW_POOL_UNKNOWN';
    if (this.#o.condition.isInMaintenance()) return 'GW_MAINTENANCE';
    exchange.pool.lastRequestAt = exchange.startedAt;
    if (ambiguity !== undefined) return ambiguity;

    const body = new RequestBody(raw, framing.contentLength, framing.chunked, this.#o.maxBodyBytes);
    exchange.body = body;
    // A small body is read first: then it can be sent again, and half a body is never forwarded.
    if (body.mayFit(this.#o.heldBytes)) await body.collect(this.#o.heldBytes);
    return identifyAgent(exchange, exchange.pool, this.#o.identifier, this.#o.router);
  }

  /**
   * Routes and sends, and again as long as nothing was sent. Returns what to
   * refuse the request with, or `undefined` when it has its answer.
   */
  async #deliver(exchange: Exchange, pool: Pool): Promise<ErrorCode | undefined> {
    let parkUntil: number | undefined;
    let inVain: ErrorCode = 'GW_NO_INSTANCE';
    while (exchange.isLive && exchange.attempts < MAX_ATTEMPTS) {
      const { changes } = pool;
      const route = await this.#o.router.route(pool, exchange);
      if (exchange.sessionLost && (await this.#mustBeTold(exchange, pool))) return 'GW_SESSION_LOST';
      let wait = REFUSED;
      if ('wait' in route) {
        inVain = waitedInVain(route, pool.standing);
        wait = route;
        takePlace(exchange, undefined);
      } else {
        const upstream = pool.upstreams.get(route.instance) as Upstream;
        if (!takePlace(exchange, upstream)) {
          const refusal = await this.#queue(exchange, upstream);
          if (refusal !== undefined) return refusal;
          continue;
        }
        exchange.way = route;
        const outcome = await this.#attempt(exchange, pool, upstream, route);
        if (outcome === 'answered') return undefined;
        // What it was sent by has changed meanwhile.
        if (exchange.attempt?.withdrawn === true) continue;
        const { mayRetry, hastensProbe, answer } = FAILURES[outcome];
        if (hastensProbe) this.#o.coordinator.suspect(pool.name, upstream.id);
        if (route.entry !== undefined) pool.bindings.distrust(route.entry);
        if (!mayRetry) return exchange.refusal ?? exchange.attempt?.refusal ?? answer;
        inVain = answer ?? inVain;
      }
      // What it would wait for has happened since its route was looked for.
      if (pool.changes !== changes) continue;
      const now = performance.now();
      parkUntil ??= now + this.#o.parkMs;
      const how = await this.#park(exchange, pool, wait, parkUntil - now);
      if (how === 'full') return 'GW_OVERLOADED';
      if (how === 'timeout') {
        exchange.decision = 'parked';
        return inVain;
      }
    }
    return exchange.refusal ?? (exchange.expired ? 'GW_DEADLINE' : inVain);
  }

  /** An agent who goes on as if nothing had happened is told that his session is gone; once, as he has been moved. */
  async #mustBeTold(exchange: Exchange, { sessionLost }: Pool): Promise<boolean> {
    if (sessionLost.answer === 'pass') return false;
    return !(await this.#logons.isLogon(exchange, sessionLost.logonOperations));
  }

  /** Waits for a place at an instance that has as many requests as it may have. */
  async #queue(exchange: Exchange, upstream: Upstream): Promise<ErrorCode | undefined> {
    const how = await exchange.wait(upstream.queue, this.#o.parkMs);
    // Dismissed: the instance is lost, and a place has to be found elsewhere.
    if (how === 'changed') exchange.place = upstream;
    this.#o.metrics.parked.inc({ pool: exchange.pool?.name ?? '', reason: 'place', outcome: how });
    return how === 'full' || how === 'timeout' ? 'GW_UPSTREAM_BUSY' : undefined;
  }

  /** Waits for a change, for no longer than `maxMs`; `again` where it is time to look without one. */
  async #park(
    exchange: Exchange,
    pool: Pool,
    { wait: reason, againMs }: ParkedFor,
    maxMs: number,
  ): Promise<Woken | 'full' | 'again'> {
    const woken = await exchange.wait(pool.parking, Math.min(maxMs, againMs));
    const how = woken === 'timeout' && againMs < maxMs ? 'again' : woken;
    this.#o.metrics.parked.inc({ pool: pool.name, reason, outcome: how });
    return how;
  }

  async #attempt(exchange: Exchange, pool: Pool, upstream: Upstream, way: Way): Promise<AttemptOutcome> {
    const { body } = exchange;
    exchange.attempts += 1;
    exchange.instance = upstream.id;
    exchange.failure = undefined;
    const attempt = new Attempt(upstream, {
      path: exchange.path,
      headers: this.#headers(exchange, upstream),
      body: body?.payload() ?? null,
      way,
      maySend: () => maySend(exchange, pool),
      isAwaited: () => !exchange.closed && !exchange.raw.aborted,
    });
    const outcome = await this.#o.forwarder.forward(exchange, attempt);
    const { withdrawn } = attempt;
    this.#o.metrics.attempts.inc(pool.name, upstream.id, withdrawn ? 'withdrawn' : outcome);
    if (outcome !== 'answered' && !withdrawn) exchange.failure = outcome;
    return outcome;
  }

  #headers(exchange: Exchange, upstream: Upstream): string[] {
    const { raw, peer } = exchange;
    return requestHeaders({
      rawHeaders: raw.rawHeaders,
      connectionTokens: connectionTokens(raw.headers.connection),
      host: this.#o.keepClientHost ? (exchange.host ?? upstream.authority) : upstream.authority,
      contentLength: exchange.body?.declaredLength,
      peerAddress: peer,
      peerTrusted: this.#o.trustedProxies.includes(peer),
      scheme: this.#o.scheme,
      clientHost: exchange.host,
      requestIdHeader: this.#o.requestIdHeader,
      requestId: exchange.request.id,
      via: this.#o.via,
    });
  }

  #tellState(exchange: Exchange): void {
    this.#send(
      exchange,
      { ...this.#o.statePages.answer(this.#o.condition.state()), contentType: 'text/plain' },
      false,
    );
  }

  #refuse(exchange: Exchange, code: ErrorCode): void {
    if (exchange.closed || exchange.response.headersSent) return;
    exchange.error = code;
    const { soapVersion } = exchange;
    const plain = ownAnswer(code, soapVersion, exchange.request.id, this.#o.faultStatus);
    const { maintenance } = this.#o;
    const answer =
      code === 'GW_MAINTENANCE' ? maintenanceAnswer(maintenance, plain, soapVersion !== undefined) : plain;
    this.#send(exchange, answer, ERRORS[code].source === 'client');
  }

  #send({ response, raw, request }: Exchange, answer: OwnAnswer, close: boolean): void {
    // What is left of a body that nobody reads, or a framing that is not trusted, must not be taken for a request.
    sendOwnAnswer(response, answer, [this.#o.requestIdHeader, request.id], close || !raw.complete);
  }
}

/** True if the request has a place at the upstream: one that was kept for it, or a free one. Gives up any other. */
function takePlace(exchange: Exchange, upstream: Upstream | undefined): boolean {
  const kept = exchange.place;
  exchange.place = undefined;
  if (kept !== undefined && kept === upstream) return true;
  kept?.leave();
  return upstream?.tryEnter() ?? false;
}

/** Asked right before the first byte: the lease may have ended or the view changed since the route was found. */
function maySend(exchange: Exchange, { standing }: Pool): boolean {
  const { way } = exchange;
  if (!exchange.isLive || way === undefined) return false;
  return judgeWay(standing, way, performance.now(), Date.now()) === 'forward';
}
