import { createHash } from 'node:crypto';
import { FAILURES } from '../core/failure.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Exchange } from './exchange.ts';

export interface RecordOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly logRequests: boolean;
  /** How a user name may be shown. */
  readonly showName: (name: string) => string;
}

/** The status in logs of a request whose client left before it was answered, after nginx. */
const CLIENT_CLOSED = 499;

/** Writes the one log line and the one set of counters of each request, when it has ended. */
export class Recorder {
  readonly #options: RecordOptions;

  constructor(options: RecordOptions) {
    this.#options = options;
  }

  ended(exchange: Exchange): void {
    const { metrics, logger, logRequests } = this.#options;
    const { pool, response, attempt } = exchange;
    const durationMs = exchange.elapsedMs;
    const status = response.headersSent ? response.statusCode : CLIENT_CLOSED;
    const poolName = pool?.name ?? '';

    metrics.requests.inc({
      pool: poolName,
      decision: exchange.decision,
      status_class: `${Math.floor(status / 100)}xx`,
    });
    metrics.requestDuration.observe({ pool: poolName }, durationMs / 1_000);
    if (exchange.error !== undefined) metrics.errors.inc({ code: exchange.error });
    if (!logRequests || !logger.isLevelEnabled('info')) return;

    const user = exchange.user;
    logger.info(
      {
        requestId: exchange.request.id,
        method: exchange.raw.method,
        path: exchange.path,
        status,
        pool: poolName,
        decision: exchange.decision,
        instance: exchange.instance,
        user: user === undefined ? undefined : this.#options.showName(user),
        // A session value opens the session to whoever reads it.
        session: exchange.session === undefined ? undefined : shortHash(exchange.session),
        epoch: exchange.epoch,
        attempts: exchange.attempts,
        durationMs: round(durationMs),
        instanceMs:
          attempt?.sentAt === undefined || attempt.headerAt === undefined
            ? undefined
            : round(attempt.headerAt - attempt.sentAt),
        parkedMs: exchange.parkedMs === 0 ? undefined : round(exchange.parkedMs),
        responseBytes: attempt?.responseBytes,
        failure: exchange.failure,
        sent: exchange.failure === undefined ? undefined : attempt?.sentAt !== undefined,
        error: exchange.error,
        outcomeUnknown:
          exchange.failure !== undefined &&
          !FAILURES[exchange.failure].mayRetry &&
          attempt?.sentAt !== undefined
            ? true
            : undefined,
      },
      'request',
    );
  }
}

function shortHash(value: string): string {
  return createHash('sha256').update(value).digest('base64url').slice(0, 12);
}

/** Hundredths of a millisecond are below the noise. */
function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
