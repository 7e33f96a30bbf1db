import type { ErrorCode } from '../core/errors.ts';
import { ERRORS, GatewayError } from '../core/errors.ts';
import { FAILURES } from '../core/failure.ts';
import type { Names } from '../core/identity.ts';
import type { GatewayState } from '../core/lifecycle.ts';
import type { Coordinator } from '../core/ports.ts';
import type { Route } from '../core/relay.ts';
import type { StatePages } from '../core/state-page.ts';
import type { Target } from '../core/target.ts';
import { checkTarget } from '../core/target.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Admission } from './admission.ts';
import type { AttemptOutcome } from './attempt.ts';
import { Attempt } from './attempt.ts';
import { noteConnectionLogin } from './connection-login.ts';
import type { Forwarder } from './forwarder.ts';
import { connectionTokens, requestHeaders } from './headers.ts';
import type { Identifier } from './identify.ts';
import { endIfLogoff } from './log-off.ts';
import type { Maintenance } from './maintenance.ts';
import { maintenanceAnswer } from './maintenance.ts';
import { logonMayMove } from './placing.ts';
import type { Pool } from './pool.ts';
import type { Relaying } from './relaying.ts';
import type { FaultStatus, OwnAnswer } from './reply-with-fault.ts';
import { ownAnswer, sendOwnAnswer } from './reply-with-fault.ts';
import type { ArrivingBytes } from './request-body.ts';
import { RequestBody } from './request-body.ts';
import type { RequestContext } from './request-context.ts';
import { mustReportLoss } from './session-lost.ts';
import type { TargetFinder, Wait, WaitReason } from './target-finder.ts';
import { errorAfterWait } from './target-finder.ts';
import type { Upstream } from './upstream.ts';
import type { Woken } from './wait-queue.ts';

export interface ProxyHandlerOptions {
  readonly admission: Admission;
  readonly identifier: Identifier;
  readonly targets: TargetFinder;
  readonly coordinator: Coordinator;
  readonly forwarder: Forwarder;
  /** Missing if no peers are configured. */
  readonly relaying: Relaying | undefined;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly faultStatus: FaultStatus;
  readonly parkMs: number;
  readonly maxBodyBytes: number;
  readonly arriving: ArrivingBytes;
  /** Bodies up to this size are read completely before anything is forwarded. */
  readonly heldBytes: number;
  readonly keepClientHost: boolean;
  readonly requestIdHeader: string;
  /** The value of `Via` for requests that came with HTTP/1.0, and for others. */
  readonly via10: string;
  readonly via11: string;
  readonly keepsLookAlikes: boolean;
  readonly scheme: 'http' | 'https';
  readonly statePages: StatePages;
  readonly gatewayState: GatewayState;
  readonly maintenance: Maintenance;
}

/** What a parked request waits for: a target, or an instance that has refused a connection. */
interface ParkedFor extends Omit<Wait, 'wait'> {
  readonly wait: WaitReason | 'refused';
}

/** For `Allow`. Other methods pass too, but no agent needs them. */
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
const NO_ROUTES: readonly Route[] = [];
const REFUSED: ParkedFor = { wait: 'refused' };
// Reached only if an instance alternately refuses connections and passes its probes.
const MAX_ATTEMPTS = 50;

/** Handles a request from its acceptance to its answer. */
export class ProxyHandler {
  readonly #options: ProxyHandlerOptions;
  readonly #isKnownBySession: (pool: Pool, names: Names) => boolean;
  #inFlight = 0;

  constructor(options: ProxyHandlerOptions) {
    this.#options = options;
    this.#isKnownBySession = (pool, names) => options.targets.isKnownBySession(pool, names);
  }

  /** The requests that have arrived and are not answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Answers the request in every case. Never rejects. */
  async serve(context: RequestContext): Promise<void> {
    this.#inFlight += 1;
    try {
      const pool = await this.#accept(context);
      if (pool === undefined && !context.raw.complete) await pieceIsRead();
      // The rest of the request may have turned out to be malformed meanwhile.
      if (context.fault !== undefined) throw context.fault;
      if (pool === undefined) this.#answerItself(context);
      else await this.#deliver(context, pool);
    } catch (error) {
      if (context.closed) return;
      if (error instanceof GatewayError) {
        this.#refuse(context, error.code);
      } else if (context.raw.destroyed && !context.raw.complete) {
        // The client left, or its body was malformed and the parser has already answered.
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
      context.reservedAt?.leave(context.network);
    }
  }

  /**
   * Accepts the request and identifies its agent. Returns its pool, or `undefined` if the gateway itself answers.
   *
   * @throws GatewayError if it is refused
   */
  async #accept(context: RequestContext): Promise<Pool | undefined> {
    const { identifier, admission, heldBytes, maxBodyBytes } = this.#options;
    // First, so that the log names the agent even if the request is refused.
    const names = identifier.readHeader(context);
    const { pool, framing } = admission.admit(context, this.#inFlight);
    if (pool === undefined) return undefined;
    pool.lastRequestAt = context.startedAt;
    identifier.check(context, names);
    const { contentLength, chunked } = framing;
    const body = new RequestBody(context.raw, contentLength, chunked, maxBodyBytes, this.#options.arriving);
    context.body = body;
    // Only now, because it is an answer too: a request that is refused gets the final one at once.
    if (context.raw.headers.expect !== undefined) context.sendContinue();
    const isArriving = !body.complete;
    // Clients that send slowly must not keep others out.
    if (isArriving) this.#inFlight -= 1;
    try {
      // A small body is read completely, so that it can be sent again and is never forwarded in part. Of a large one, the
      // first piece: the last check of an attempt must come right before its first byte, and no instance has to wait for a
      // client that sends a header only.
      await body.collect(body.mayFit(heldBytes) ? heldBytes : 1);
      const search = identifier.identify(context, pool, this.#isKnownBySession);
      if (search !== undefined) await search;
    } finally {
      if (isArriving) this.#inFlight += 1;
    }
    if (isArriving) admission.checkLoad(context, this.#inFlight);
    return pool;
  }

  /**
   * Finds the target and sends the request there. Repeats that as long as nothing was sent.
   *
   * @throws GatewayError if the request is refused
   */
  async #deliver(context: RequestContext, pool: Pool): Promise<void> {
    const { relaying } = this.#options;
    let parkUntil: number | undefined;
    let failed: readonly Route[] = NO_ROUTES;
    let waitError: ErrorCode = 'GW_NO_INSTANCE';
    while (context.isLive && context.attempts < MAX_ATTEMPTS) {
      const { changes } = pool;
      if (context.isLogon === undefined && pool.operations.haveLogon && logonMayMove(pool, context))
        context.isLogon = await pool.operations.isLogon(context);
      const { targets } = this.#options;
      const found = targets.findAtOnce(pool, context) ?? (await targets.find(pool, context));
      if (context.sessionLost && (await mustReportLoss(context, pool)))
        throw new GatewayError('GW_SESSION_LOST');
      let wait = REFUSED;
      if ('wait' in found) {
        waitError = errorAfterWait(found, pool.routingState);
        wait = found;
        enterUpstream(context, undefined);
      } else {
        const upstream = pool.upstreams.get(found.instance) as Upstream;
        if (!enterUpstream(context, upstream)) {
          await this.#queue(context, upstream);
          continue;
        }
        context.target = found;
        const route = relaying?.nextRoute(context, pool, found, failed) ?? 'direct';
        context.route = route;
        const outcome = await this.#attempt(context, pool, upstream, found);
        if (outcome === 'answered') return;
        // The target changed in the meantime.
        if (context.attempt?.withdrawn === true) continue;
        const { mayRetry, hastensProbe, answer } = FAILURES[outcome];
        if (hastensProbe && route === 'direct') this.#options.coordinator.suspect(pool.name, upstream.id);
        if (found.entry !== undefined) pool.bindings.invalidate(found.entry);
        if (!mayRetry) {
          const fault = context.fault ?? (answer && new GatewayError(answer));
          if (fault === undefined) return;
          throw fault;
        }
        waitError = answer ?? waitError;
        failed = [...failed, route];
        if (relaying?.nextRoute(context, pool, found, failed) !== undefined) continue;
        // After the wait, all of them may work again.
        failed = NO_ROUTES;
      }
      // The change to wait for happened while the target was looked up.
      if (pool.changes !== changes) continue;
      const now = performance.now();
      parkUntil ??= now + this.#options.parkMs;
      const how = await this.#park(context, pool, wait, parkUntil - now);
      if (how === 'full') throw new GatewayError('GW_OVERLOADED');
      if (how === 'timeout') {
        context.decision = 'parked';
        throw new GatewayError(waitError);
      }
    }
    throw context.fault ?? new GatewayError(context.expired ? 'GW_DEADLINE' : waitError);
  }

  /**
   * Waits for a free place at an instance that has its maximum of requests.
   *
   * @throws GatewayError if none becomes free in time
   */
  async #queue(context: RequestContext, upstream: Upstream): Promise<void> {
    const waiting = context.wait(upstream.queue, this.#options.parkMs);
    upstream.relieve();
    const how = await waiting;
    // `dismissed` means that the instance is lost, so another target must be found.
    if (how === 'changed') context.reservedAt = upstream;
    this.#options.metrics.parked.inc({ pool: context.pool?.name ?? '', reason: 'place', outcome: how });
    if (how === 'full' || how === 'timeout') throw new GatewayError('GW_UPSTREAM_BUSY');
  }

  /** Waits for a change, for at most `maxMs`. Returns `again` if the target must be looked up without a change. */
  async #park(
    context: RequestContext,
    pool: Pool,
    { wait: reason, againMs }: ParkedFor,
    maxMs: number,
  ): Promise<Woken | 'again'> {
    const ms = againMs === undefined ? maxMs : Math.min(maxMs, againMs);
    const woken = await context.wait(pool.parking, ms);
    const how = woken === 'timeout' && ms < maxMs ? 'again' : woken;
    this.#options.metrics.parked.inc({ pool: pool.name, reason, outcome: how });
    return how;
  }

  /** Sends the request once, as a visit of its agent. If it was a log-off, the binding ends. */
  async #attempt(
    context: RequestContext,
    pool: Pool,
    upstream: Upstream,
    target: Target,
  ): Promise<AttemptOutcome> {
    const { operations, bindings } = pool;
    const visit = operations.haveLogoff ? bindings.logOffs.begin(target) : undefined;
    let isStreaming = false;
    try {
      const mayMatter = visit !== undefined && operations.mayBeEither(context);
      // Before it is sent: the log line may be written as soon as it is answered.
      if (mayMatter) context.act = await operations.actOf(context);
      const attempt = this.#newAttempt(context, pool, upstream, target);
      let outcome: AttemptOutcome;
      try {
        outcome = await this.#options.forwarder.forward(context, attempt);
      } catch (error) {
        context.failure = 'client-aborted';
        this.#options.metrics.attempts.inc(pool.name, upstream.id, context.failure);
        throw error;
      }
      this.#count(context, pool, attempt, outcome);
      if (visit !== undefined && outcome === 'answered') {
        isStreaming = attempt.whole === undefined && !context.closed;
        if (visit.followsLogOff || mayMatter) void endIfLogoff(context, pool, visit, this.#options);
      }
      return outcome;
    } finally {
      if (visit !== undefined) {
        if (isStreaming) context.response.once('close', () => bindings.logOffs.end(visit));
        else bindings.logOffs.end(visit);
      }
    }
  }

  #newAttempt(context: RequestContext, pool: Pool, upstream: Upstream, target: Target): Attempt {
    context.attempts += 1;
    context.instance = upstream.id;
    context.failure = undefined;
    return new Attempt(upstream, {
      path: context.path,
      headers: this.#headers(context, upstream),
      body: context.body?.payload() ?? null,
      target,
      maySend: () => maySend(context, pool),
      isAwaited: () => !context.closed && !context.raw.aborted,
      sender: context,
      relay: this.#options.relaying?.sender(context, pool, target),
    });
  }

  #count(context: RequestContext, pool: Pool, attempt: Attempt, outcome: AttemptOutcome): void {
    const { metrics, logger, relaying } = this.#options;
    const { upstream, withdrawn, responseHeaders } = attempt;
    relaying?.ended(context, pool, attempt, outcome);
    metrics.attempts.inc(pool.name, upstream.id, withdrawn ? 'withdrawn' : outcome);
    if (!withdrawn) metrics.seconds.attempted(pool.name, upstream.id, outcome !== 'answered');
    if (outcome !== 'answered' && !withdrawn) context.failure = outcome;
    if (outcome === 'answered' && context.response.statusCode === 401)
      noteConnectionLogin(upstream, responseHeaders, logger);
  }

  #headers(context: RequestContext, upstream: Upstream): string[] {
    const { raw, connection } = context;
    return requestHeaders({
      rawHeaders: raw.rawHeaders,
      connectionTokens: connectionTokens(raw.headers.connection),
      host: this.#options.keepClientHost ? (context.host ?? upstream.authority) : upstream.authority,
      contentLength: context.body?.declaredLength,
      peerAddress: connection.peer,
      peerTrusted: connection.isTrusted,
      scheme: this.#options.scheme,
      clientHost: context.host,
      requestIdHeader: this.#options.requestIdHeader,
      requestId: context.request.id,
      via: raw.httpVersionMinor === 0 ? this.#options.via10 : this.#options.via11,
      maxForwards: context.maxForwards,
      keepsLookAlikes: this.#options.keepsLookAlikes,
    });
  }

  #answerItself(context: RequestContext): void {
    if (!context.isStatePoll) {
      context.decision = 'own';
      context.isLast ||= !context.raw.complete;
      context.prepareAnswer();
      context.response.writeHead(204, {
        allow: METHODS,
        [this.#options.requestIdHeader]: context.request.id,
      });
      context.response.end();
      return;
    }
    this.#send(
      context,
      { ...this.#options.statePages.answer(this.#options.gatewayState.state()), contentType: 'text/plain' },
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

  #send(context: RequestContext, answer: OwnAnswer, close: boolean): void {
    const { response, raw, request } = context;
    // The rest of an unread body, or of a request with doubtful framing, must not be taken for a request.
    context.isLast ||= close || !raw.complete;
    context.prepareAnswer();
    sendOwnAnswer(response, answer, [this.#options.requestIdHeader, request.id], context.isLast);
  }
}

/** Resolves when the parser has read the piece of input to its end, so that what is malformed in it is known. */
function pieceIsRead(): Promise<void> {
  return new Promise(setImmediate);
}

/** Takes a place at the upstream for the request, the reserved or a free one. Releases a place reserved elsewhere. */
function enterUpstream(context: RequestContext, upstream: Upstream | undefined): boolean {
  const reservedAt = context.reservedAt;
  context.reservedAt = undefined;
  if (reservedAt !== undefined && reservedAt === upstream) return true;
  reservedAt?.leave(context.network);
  return upstream?.tryEnter(context.network) ?? false;
}

/** Called right before the first byte: the lease may have ended or the view changed since the target was found. */
function maySend(context: RequestContext, { routingState }: Pool): boolean {
  const { target } = context;
  if (!context.isLive || target === undefined) return false;
  return checkTarget(routingState, target, performance.now(), Date.now()) === 'forward';
}
