import type { FastifyInstance } from 'fastify';
import Fastify from 'fastify';
import type { BindingQuery } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { BindingListing, GatewayStatus } from './status.ts';

export interface AdminServerOptions {
  readonly metrics: Metrics;
  readonly status: () => GatewayStatus;
  /** `undefined` where there is no such pool. Rejects with `StoreUnavailable` while the store is away. */
  readonly bindings: (pool: string, query: BindingQuery) => Promise<BindingListing> | undefined;
  /** Brings gauges up to date that are read rather than counted. */
  readonly beforeScrape: () => void;
}

type BindingsQuery = BindingQuery & { readonly pool?: string };

const BINDINGS_QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    pool: { type: 'string' },
    instance: { type: 'string' },
    cursor: { type: 'string' },
    limit: { type: 'integer', minimum: 1, maximum: 10_000 },
  },
};

/**
 * The admin plane: read-only, on a port of its own, so that a scrape or a probe
 * never stands in a queue with traffic.
 *
 *   GET /metrics  Prometheus text
 *   GET /livez    200 as long as the process answers
 *   GET /readyz   200 while state is Running, else 503; tells of the gateway, never of the instances
 *   GET /status   the whole condition as JSON
 *   GET /bindings?pool=…  who is bound where, page by page; also `instance`, `limit`, `cursor`
 */
export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const { metrics, status, bindings, beforeScrape } = options;
  const fastify = Fastify({
    logger: false,
    bodyLimit: 1_024,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    forceCloseConnections: true,
  });

  fastify.get('/metrics', async (_request, reply) => {
    beforeScrape();
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  fastify.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  fastify.get('/readyz', async (_request, reply) => {
    const { state } = status();
    return reply
      .code(state === 'Running' ? 200 : 503)
      .type('text/plain')
      .send(`${state}\n`);
  });
  fastify.get('/status', async () => status());
  fastify.get<{ Querystring: BindingsQuery }>(
    '/bindings',
    { schema: { querystring: BINDINGS_QUERY } },
    async ({ query: { pool, ...query } }, reply) => {
      const only = status().pools.length === 1 ? status().pools[0]?.name : undefined;
      const asked = pool ?? only;
      if (asked === undefined) return reply.code(400).type('text/plain').send('name a pool: ?pool=…\n');
      try {
        const listing = await bindings(asked, query);
        return listing ?? reply.code(404).type('text/plain').send(`no pool is named ${asked}\n`);
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        return reply.code(503).type('text/plain').send('the affinity store is away\n');
      }
    },
  );
  fastify.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .type('text/plain')
      .send('not found: this port has /metrics, /livez, /readyz, /status and /bindings\n'),
  );
  return fastify;
}
