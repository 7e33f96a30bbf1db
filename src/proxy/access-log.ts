import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { FAILURES } from '../core/failure.ts';
import type { InstanceId } from '../core/instance.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { RequestLog } from '../telemetry/request-log.ts';
import type { RequestContext } from './request-context.ts';

export interface RecordOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly logRequests: boolean;
  /** How a user name may be shown. */
  readonly showName: (name: string) => string;
}

/** The status in logs of a request whose client left before it was answered, after nginx. */
const CLIENT_CLOSED = 499;
const NONE: readonly string[] = [];
const CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'];
// Sessions whose hash is at hand; those of a full pool.
const REMEMBERED_SESSIONS = 10_000;

/** Writes the one log line and the one set of counters of each request, when it has ended. */
export class AccessLog {
  readonly #options: RecordOptions;
  readonly #log: RequestLog;
  readonly #sessions = new LRUCache<string, string>({ max: REMEMBERED_SESSIONS });

  constructor(options: RecordOptions) {
    this.#options = options;
    this.#log = new RequestLog(options.logger);
  }

  ended(context: RequestContext): void {
    // Balancers ask for the state all the time; it is nobody's request.
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
    const { metrics, logger, showName } = this.#options;
    metrics.namesIgnored.inc({ pool, reason: 'found' });
    if (!logger.isLevelEnabled('debug')) return;
    logger.debug(
      {
        requestId: request.id,
        pool,
        operation,
        user: user === undefined ? undefined : showName(user),
        session: session === undefined ? undefined : this.#sessionHash(session),
        instance,
        passedOver: at,
      },
      'a name that was found in the body is bound elsewhere, and was passed over',
    );
  }

  #write(context: RequestContext, pool: string, status: number, durationMs: number): void {
    const { attempt, session, parkedMs, failure, error } = context;
    const user = context.user ?? userOf(context);
    this.#log.write({
      requestId: context.request.id,
      client: context.client,
      method: context.raw.method ?? '',
      path: context.path,
      status,
      pool,
      decision: context.decision,
      instance: context.instance,
      user: user === undefined ? undefined : this.#options.showName(user),
      session: session === undefined ? undefined : this.#sessionHash(session),
      epoch: context.epoch,
      attempts: context.attempts,
      durationMs,
      instanceMs:
        attempt?.sentAt === undefined || attempt.headerAt === undefined
          ? undefined
          : attempt.headerAt - attempt.sentAt,
      parkedMs: parkedMs === 0 ? undefined : parkedMs,
      responseBytes: attempt?.responseBytes,
      trouble: failure === undefined && error === undefined ? '' : trouble(context),
    });
  }

  /** A session value opens the session to whoever reads it. */
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
function userOf({ way }: RequestContext): string | undefined {
  return way?.root?.kind === 'user' ? way.root.value : undefined;
}

function trouble({ failure, error, attempt }: RequestContext): string {
  const sent = attempt?.sentAt !== undefined;
  const fields = {
    failure,
    sent: failure === undefined ? undefined : sent,
    // Whether the instance has acted on it is not known.
    outcomeUnknown: failure !== undefined && sent && !FAILURES[failure].mayRetry ? true : undefined,
    error,
  };
  return `,${JSON.stringify(fields).slice(1, -1)}`;
}
