import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { FAILURES } from '../core/failure.ts';
import type { InstanceId } from '../core/instance.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { RequestContext } from './request-context.ts';

export interface AccessLogOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly logRequests: boolean;
  /** How user names are shown; `undefined` where they are shown as they are. */
  readonly showName: ((name: string) => string) | undefined;
}

/** The status in logs of a request whose client left before it was answered, after nginx. */
const CLIENT_CLOSED = 499;
const NONE: readonly string[] = [];
const CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'];
// Sessions whose hash is at hand; those of a full pool.
const REMEMBERED_SESSIONS = 10_000;

/** Writes the one log line and the one set of counters of each request, when it has ended. */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #sessions = new LRUCache<string, string>({ max: REMEMBERED_SESSIONS });

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  ended(context: RequestContext): void {
    // Balancers ask for the state all the time; that is no traffic of a pool.
    if (context.isStatePoll) return;
    const { metrics, logger, logRequests } = this.#options;
    const { response } = context;
    const pool = context.pool?.name ?? '';
    const durationMs = context.elapsedMs;
    const status = response.headersSent ? response.statusCode : CLIENT_CLOSED;

    metrics.requests.inc(pool, context.decision, CLASSES[Math.floor(status / 100)] ?? '0xx');
    metrics.requestDuration.observe(pool, durationMs / 1_000);
    for (const reason of context.ignored ?? NONE) metrics.namesIgnored.inc({ pool, reason });
    if (context.passedOver !== undefined) this.#passedOver(context, pool, context.passedOver);
    if (context.error !== undefined) metrics.errors.inc({ code: context.error });
    if (logRequests && logger.isLevelEnabled('info')) this.#write(context, pool, status, durationMs);
  }

  /** A name of the body is bound elsewhere. It is left there, and another one decided. */
  #passedOver(
    { request, user, session, operation, instance }: RequestContext,
    pool: string,
    at: InstanceId,
  ): void {
    const { metrics, logger } = this.#options;
    metrics.namesIgnored.inc({ pool, reason: 'found' });
    if (!logger.isLevelEnabled('debug')) return;
    logger.debug(
      {
        requestId: request.id,
        pool,
        operation,
        user: user === undefined ? undefined : this.#shown(user),
        session: session === undefined ? undefined : this.#sessionHash(session),
        instance,
        passedOver: at,
      },
      'a name that was found in the body is bound elsewhere, and was passed over',
    );
  }

  /**
   * By pino's own call, which escapes every value. A template would save 3.4 µs of processor time (pino 9.2, template
   * 5.8, median of 35 interleaved rounds of 20,000 lines), which is less than 2 % of a request (196 µs, deploy/docs/benchmarks.md).
   */
  #write(context: RequestContext, pool: string, status: number, durationMs: number): void {
    const { attempt, session, parkedMs, failure, error } = context;
    const user = context.user ?? userOf(context);
    const sent = attempt?.sentAt !== undefined;
    this.#options.logger.info(
      {
        requestId: context.request.id,
        client: context.client,
        method: context.raw.method,
        path: context.path,
        status,
        pool,
        decision: context.decision,
        instance: context.instance,
        user: user === undefined ? undefined : this.#shown(user),
        session: session === undefined ? undefined : this.#sessionHash(session),
        epoch: context.epoch,
        attempts: context.attempts,
        durationMs: hundredths(durationMs),
        instanceMs:
          attempt?.sentAt === undefined || attempt.headerAt === undefined
            ? undefined
            : hundredths(attempt.headerAt - attempt.sentAt),
        parkedMs: parkedMs === 0 ? undefined : hundredths(parkedMs),
        responseBytes: attempt?.responseBytes,
        failure,
        sent: failure === undefined ? undefined : sent,
        // Whether the instance has acted on it is not known.
        outcomeUnknown: failure !== undefined && sent && !FAILURES[failure].mayRetry ? true : undefined,
        error,
      },
      'request',
    );
  }

  #shown(user: string): string {
    const { showName } = this.#options;
    return showName === undefined ? user : showName(user);
  }

  /** A session value opens the session to everyone who reads it. */
  #sessionHash(session: string): string {
    let shown = this.#sessions.get(session);
    if (shown === undefined) {
      shown = hash('sha256', session, 'base64url').slice(0, 12);
      this.#sessions.set(session, shown);
    }
    return shown;
  }
}

/** The agent is known by the session alone. */
function userOf({ target }: RequestContext): string | undefined {
  return target?.root?.kind === 'user' ? target.root.value : undefined;
}

/** Hundredths of a millisecond are below the noise. */
function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
