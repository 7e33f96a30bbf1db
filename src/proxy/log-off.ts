import type { Visit } from '../core/agent-bindings.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Pool } from './pool.ts';
import type { RequestContext } from './request-context.ts';

export interface LogOffOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Ends the binding of the agent if the answered request was a log-off. If it came after one, it keeps the binding, and the
 * log says so. Never rejects.
 */
export async function endIfLogoff(
  context: RequestContext,
  pool: Pool,
  visit: Visit,
  options: LogOffOptions,
): Promise<void> {
  const { operations, bindings, logoffGraceMs } = pool;
  const { attempt, response } = context;
  if (attempt === undefined) return;
  try {
    if (await operations.isLogoff(context, response.statusCode, attempt))
      await bindings.logOffs.logOff(visit, logoffGraceMs);
    else if (visit.followsLogOff) await tellWhatFollows(context, pool, options);
  } catch (error) {
    options.logger.error({ err: error, requestId: context.request.id }, 'a log-off was not noted');
  }
}

/** Names the request that keeps the binding after a log-off: its operation may be missing in the list of log-offs. */
async function tellWhatFollows(
  context: RequestContext,
  { name: pool, operations }: Pool,
  { logger, metrics }: LogOffOptions,
): Promise<void> {
  const operation = await operations.otherOperation(context);
  if (operation === undefined) return;
  metrics.afterLogOff.inc({ pool });
  logger.warn(
    { pool, operation },
    'a request after a log-off keeps the binding: if it belongs to the log-off, add its operation to identity.logoff; if agents also send this operation while they work, give element and value too, as in { operation: setCurrentWorkmode, element: …, value: … }: the operation alone would end bindings of agents who work',
  );
}
