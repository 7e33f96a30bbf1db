import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { ErrorCode } from '../core/errors.ts';
import { FAILURES } from '../core/failure.ts';
import type { InstanceId } from '../core/instance.ts';
import type { NameSource, UnnamedReason } from '../core/seen-names.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { IgnoredValue, RequestContext } from './request-context.ts';

export interface AccessLogOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly logRequests: boolean;
  /** Converts a user name for the log; `undefined` if names are logged unchanged. */
  readonly showName: ((name: string) => string) | undefined;
}

/** What is known of input that Node's parser refused. */
export interface RefusedInput {
  readonly requestId: string;
  readonly client: string;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly status: number;
  readonly error: ErrorCode;
  /** In the parser's words. */
  readonly reason: string | undefined;
}

/** The logged status of a request whose client closed the connection before the answer, as in nginx. */
const CLIENT_CLOSED = 499;
const NONE: readonly IgnoredValue[] = [];
const CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'];
// The hashes of this many sessions are cached, which covers a full pool.
const REMEMBERED_SESSIONS = 10_000;

/** Writes one log line and updates the counters for each request when it has ended. */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #sessions = new LRUCache<string, string>({ max: REMEMBERED_SESSIONS });

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  ended(context: RequestContext): void {
    // Balancers poll the state all the time; that is not a pool's traffic.
    if (context.isStatePoll) return;
    const { metrics, logger, logRequests } = this.#options;
    const { response } = context;
    const pool = context.pool?.name ?? '';
    const durationMs = context.elapsedMs;
    const status = response.headersSent ? response.statusCode : CLIENT_CLOSED;

    metrics.requests.inc(pool, context.decision, CLASSES[Math.floor(status / 100)] ?? '0xx');
    metrics.requestDuration.observe(pool, durationMs / 1_000);
    if (pool !== '') metrics.seconds.ended(pool, status, durationMs, context.error);
    for (const { source, reason } of context.ignored ?? NONE) metrics.names.ignored(pool, source, reason);
    const source = context.isIdentified ? sourceOf(context) : undefined;
    if (source === 'none') metrics.names.unnamed(pool, reasonOf(context), context.operation);
    else if (source !== undefined) metrics.names.named(pool, source);
    if (context.passedOver !== undefined) this.#passedOver(context, pool, context.passedOver);
    if (context.error !== undefined) metrics.errors.inc({ code: context.error });
    if (logRequests && logger.isLevelEnabled('info')) this.#write(context, pool, source, status, durationMs);
  }

  /** Counts and logs input that was refused before it became a request. */
  refused(facts: RefusedInput): void {
    const { metrics, logger, logRequests } = this.#options;
    metrics.requests.inc('', 'refused', CLASSES[Math.floor(facts.status / 100)] ?? '0xx');
    metrics.errors.inc({ code: facts.error });
    if (logRequests) logger.info({ ...facts, pool: '', decision: 'refused' }, 'request');
  }

  /** Counts and logs that a name found in the body is bound elsewhere, and that another name decided. */
  #passedOver(
    { request, user, session, operation, instance }: RequestContext,
    pool: string,
    at: InstanceId,
  ): void {
    const { metrics, logger } = this.#options;
    metrics.names.ignored(pool, 'body', 'found');
    metrics.names.conflict(pool, operation);
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
      'a name found in the body is bound to another instance and was ignored',
    );
  }

  /**
   * Uses pino's normal call, which escapes every value. A template of our own would take 5.8 µs of processor time
   * instead of 9.2 µs (median of 35 interleaved rounds of 20,000 lines). That saves less than 2 % of a request, which
   * takes 196 µs (deploy/docs/benchmarks.md).
   */
  #write(
    context: RequestContext,
    pool: string,
    source: NameSource | undefined,
    status: number,
    durationMs: number,
  ): void {
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
        identitySource: source,
        identityReason: source === 'none' ? reasonOf(context) : undefined,
        epoch: context.epoch,
        attempts: context.attempts,
        durationMs: hundredths(durationMs),
        instanceMs:
          attempt?.sentAt === undefined || attempt.headerAt === undefined
            ? undefined
            : hundredths(attempt.headerAt - attempt.sentAt),
        parkedMs: parkedMs === 0 ? undefined : hundredths(parkedMs),
        responseBytes: attempt?.responseBytes,
        clientEnded: context.clientHasEnded ? true : undefined,
        failure,
        sent: failure === undefined ? undefined : sent,
        // It is unknown whether the instance has acted on the request.
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

  /** Only a hash is logged, because a session value lets everyone who reads it use the session. */
  #sessionHash(session: string): string {
    let shown = this.#sessions.get(session);
    if (shown === undefined) {
      shown = hash('sha256', session, 'base64url').slice(0, 12);
      this.#sessions.set(session, shown);
    }
    return shown;
  }
}

/** Where the name that decides was found: the user before the session, and both before the address. */
function sourceOf({ user, session, address, userIsInBody, sessionIsInBody }: RequestContext): NameSource {
  if (user !== undefined) return userIsInBody ? 'body' : 'header';
  if (session !== undefined) return sessionIsInBody ? 'body' : 'cookie';
  return address === undefined ? 'none' : 'address';
}

/** Why the request names no agent. */
function reasonOf({ unnamedBecause, ignored }: RequestContext): UnnamedReason {
  if (unnamedBecause !== undefined) return unnamedBecause;
  if (ignored === undefined) return 'no-name';
  return ignored.some(({ reason }) => reason === 'shared') ? 'shared' : 'refused';
}

/** The user of the binding to which the session leads, for a request that names no user. */
function userOf({ target }: RequestContext): string | undefined {
  return target?.root?.kind === 'user' ? target.root.value : undefined;
}

/** Rounds to hundredths of a millisecond; the rest is noise. */
function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
