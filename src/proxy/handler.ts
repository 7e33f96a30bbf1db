import type { ErrorCode } from '../core/errors.ts';
import { ERRORS, GatewayError } from '../core/errors.ts';
import { FAILURES } from '../core/failure.ts';
import type { GatewayState } from '../core/lifecycle.ts';
import type { Coordinator } from '../core/ports.ts';
import type { StatePages } from '../core/state-page.ts';
import type { Target } from '../core/target.ts';
import { checkTarget } from '../core/target.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Admission } from './admission.ts';
import type { AttemptOutcome } from './attempt.ts';
import { Attempt } from './attempt.ts';
import type { Forwarder } from './forwarder.ts';
import { connectionTokens, requestHeaders } from './headers.ts';
import type { Identifier } from './identify.ts';
import { LogonSearch } from './logon.ts';
import type { Maintenance } from './maintenance.ts';
import { maintenanceAnswer } from './maintenance.ts';
import type { Pool } from './pool.ts';
import type { FaultStatus, OwnAnswer } from './reply-with-fault.ts';
import { ownAnswer, sendOwnAnswer } from './reply-with-fault.ts';
import { RequestBody } from './request-body.ts';
import type { RequestContext } from './request-context.ts';
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
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly faultStatus: FaultStatus;
  readonly parkMs: number;
  readonly maxBodyBytes: number;
  /** Bodies up to this size are read completely before anything is forwarded. */
  readonly heldBytes: number;
  readonly keepClientHost: boolean;
  readonly requestIdHeader: string;
  readonly via: string;
  readonly scheme: 'http' | 'https';
  readonly statePages: StatePages;
  readonly gatewayState: GatewayState;
  readonly maintenance: Maintenance;
}

/** What a parked request waits for: a target, or an instance that has refused a connection. */
interface ParkedFor extends Omit<Wait, 'wait'> {
  readonly wait: WaitReason | 'refused';
}

const REFUSED: ParkedFor = { wait: 'refused' };
// Reached only if an instance alternately refuses connections and passes its probes.
const MAX_ATTEMPTS = 50;

/** Handles a request from its acceptance to its answer. */
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

  /** Answers the request in every case. Never rejects. */
  async serve(context: RequestContext): Promise<void> {
    this.#inFlight += 1;
    try {
      const pool = await this.#accept(context);
      if (pool === undefined) this.#sendState(context);
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
      context.reservedAt?.leave();
    }
  }

  /**
   * Accepts the request and identifies its agent. Returns its pool, or `undefined` if it asks for the gateway's state.
   *
   * @throws GatewayError if it is refused
   */
  async #accept(context: RequestContext): Promise<Pool | undefined> {
    const { identifier, admission, targets, heldBytes, maxBodyBytes } = this.#options;
    // First, so that the log names the agent even if the request is refused.
    const names = identifier.readHeader(context);
    const { pool, framing } = admission.admit(context, this.#inFlight);
    if (pool === undefined) return undefined;
    identifier.check(context, names);
    const body = new RequestBody(context.raw, framing.contentLength, framing.chunked, maxBodyBytes);
    context.body = body;
    // A small body is read completely, so that it can be sent again and is never forwarded in part.
    if (body.mayFit(heldBytes)) await body.collect(heldBytes);
    await identifier.identify(context, pool, (at, one) => targets.isKnownBySession(at, one));
    return pool;
  }

  /**
   * Finds the target and sends the request there. Repeats that as long as nothing was sent.
   *
   * @throws GatewayError if the request is refused
   */
  async #deliver(context: RequestContext, pool: Pool): Promise<void> {
    let parkUntil: number | undefined;
    let waitError: ErrorCode = 'GW_NO_INSTANCE';
    while (context.isLive && context.attempts < MAX_ATTEMPTS) {
      const { changes } = pool;
      const found = await this.#options.targets.find(pool, context);
      if (context.sessionLost && (await this.#mustReportLoss(context, pool)))
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
        const outcome = await this.#attempt(context, pool, upstream, found);
        if (outcome === 'answered') return;
        // The target changed in the meantime.
        if (context.attempt?.withdrawn === true) continue;
        const { mayRetry, hastensProbe, answer } = FAILURES[outcome];
        if (hastensProbe) this.#options.coordinator.suspect(pool.name, upstream.id);
        if (found.entry !== undefined) pool.bindings.invalidate(found.entry);
        if (!mayRetry) {
          const fault = context.fault ?? (answer && new GatewayError(answer));
          if (fault === undefined) return;
          throw fault;
        }
        waitError = answer ?? waitError;
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

  /** Must the agent be told that the session was lost with its instance? Not if the agent logs on again anyway. */
  async #mustReportLoss(context: RequestContext, { sessionLost }: Pool): Promise<boolean> {
    if (sessionLost.answer === 'pass') return false;
    return !(await this.#logons.isLogon(context, sessionLost.logonOperations));
  }

  /**
   * Waits for a free place at an instance that has its maximum of requests.
   *
   * @throws GatewayError if none becomes free in time
   */
  async #queue(context: RequestContext, upstream: Upstream): Promise<void> {
    const how = await context.wait(upstream.queue, this.#options.parkMs);
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
  ): Promise<Woken | 'full' | 'again'> {
    const ms = againMs === undefined ? maxMs : Math.min(maxMs, againMs);
    const woken = await context.wait(pool.parking, ms);
    const how = woken === 'timeout' && ms < maxMs ? 'again' : woken;
    this.#options.metrics.parked.inc({ pool: pool.name, reason, outcome: how });
    return how;
  }

  async #attempt(
    context: RequestContext,
    pool: Pool,
    upstream: Upstream,
    target: Target,
  ): Promise<AttemptOutcome> {
    const { body } = context;
    context.attempts += 1;
    context.instance = upstream.id;
    context.failure = undefined;
    const attempt = new Attempt(upstream, {
      path: context.path,
      headers: this.#headers(context, upstream),
      body: body?.payload() ?? null,
      target,
      maySend: () => maySend(context, pool),
      isAwaited: () => !context.closed && !context.raw.aborted,
    });
    let outcome: AttemptOutcome;
    try {
      outcome = await this.#options.forwarder.forward(context, attempt);
    } catch (error) {
      context.failure = 'client-aborted';
      this.#options.metrics.attempts.inc(pool.name, upstream.id, context.failure);
      throw error;
    }
    const { withdrawn } = attempt;
    this.#options.metrics.attempts.inc(pool.name, upstream.id, withdrawn ? 'withdrawn' : outcome);
    if (outcome !== 'answered' && !withdrawn) context.failure = outcome;
    return outcome;
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
      via: this.#options.via,
    });
  }

  #sendState(context: RequestContext): void {
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
    context.prepareAnswer();
    // The rest of an unread body, or of a request with doubtful framing, must not be taken for a request.
    sendOwnAnswer(response, answer, [this.#options.requestIdHeader, request.id], close || !raw.complete);
  }
}

/** Takes a place at the upstream for the request, the reserved or a free one. Releases a place reserved elsewhere. */
function enterUpstream(context: RequestContext, upstream: Upstream | undefined): boolean {
  const reservedAt = context.reservedAt;
  context.reservedAt = undefined;
  if (reservedAt !== undefined && reservedAt === upstream) return true;
  reservedAt?.leave();
  return upstream?.tryEnter() ?? false;
}

/** Called right before the first byte: the lease may have ended or the view changed since the target was found. */
function maySend(context: RequestContext, { routingState }: Pool): boolean {
  const { target } = context;
  if (!context.isLive || target === undefined) return false;
  return checkTarget(routingState, target, performance.now(), Date.now()) === 'forward';
}
