import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ActRefused, ViewChanged } from '../core/act-refused.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { PoolSource } from './pool-source.ts';

// Lists and questions take seconds at most.
const RETRY_AFTER_SECONDS = 3;

/** Answers what a route throws: `{"error": "…"}` with the reason and the remedy. */
export function answerErrors(
  logger: Logger,
): (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => FastifyReply {
  return (error, request, reply) => {
    if (error.validation !== undefined) return reply.code(400).send({ error: explain(error, request) });
    if (error instanceof StoreUnavailable) {
      // The store may have made the change and only its answer was lost.
      const { isQuestion } = request.routeOptions.config;
      const doubt =
        request.method === 'GET' || isQuestion === true
          ? ''
          : '; the event log shows whether the change was made, once the store is back';
      return reply.code(503).send({ error: `the store is away: ${error.message}${doubt}` });
    }
    if (error instanceof ViewChanged) return reply.code(409).send({ error: error.message, view: error.view });
    const status = error.statusCode ?? 500;
    if (status === 429) reply.header('retry-after', RETRY_AFTER_SECONDS);
    if (status < 500 || error instanceof ActRefused) return reply.code(status).send({ error: error.message });
    logger.error({ err: error }, 'the admin plane failed');
    return reply.code(500).send({ error: 'the gateway failed; see its log' });
  };
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, { readonly description?: string } | undefined>>;
}

/** Names the wrong field and what it must be, which is its description in the schema. */
function explain({ validation, validationContext = 'body' }: FastifyError, request: FastifyRequest): string {
  const [{ instancePath, params, message } = UNKNOWN_ERROR] = validation ?? [];
  const { missingProperty, additionalProperty } = params as Readonly<Record<string, string | undefined>>;
  if (additionalProperty !== undefined) return `${additionalProperty} is not known here; remove it`;
  const field = missingProperty ?? instancePath.slice(1);
  const { schema } = request.routeOptions;
  const { properties = {} } = (schema?.[validationContext as 'body'] ?? {}) as ObjectSchema;
  const expects = properties[field]?.description;
  if (expects === undefined)
    return `the ${validationContext} ${message ?? 'is not valid'}; send a JSON object`;
  return missingProperty === undefined
    ? `${field} must be ${expects}`
    : `${field} is missing; it must be ${expects}`;
}

const UNKNOWN_ERROR = { instancePath: '', params: {}, message: 'is not valid' };

/** @throws ActRefused if there is no such pool */
export function poolOf(pools: readonly PoolSource[], { pool }: { readonly pool: string }): PoolSource {
  const found = pools.find(({ name }) => name === pool);
  if (found !== undefined) return found;
  throw new ActRefused(404, `no pool is named ${pool}; there is ${pools.map(({ name }) => name).join(', ')}`);
}
