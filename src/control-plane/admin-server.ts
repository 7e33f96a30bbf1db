import type { FastifyInstance } from 'fastify';
import Fastify from 'fastify';
import type { Metrics } from '../telemetry/metrics.ts';
import type { GatewayStatus } from './status.ts';

export interface AdminServerOptions {
  readonly metrics: Metrics;
  readonly status: () => GatewayStatus;
  /** Brings gauges up to date that are read rather than counted. */
  readonly beforeScrape: () => void;
}

/**
 * The admin plane: read-only, on a port of its own, so that a scrape or a probe
 * never stands in a queue with traffic.
 *
 *   GET /metrics  Prometheus text
 *   GET /livez    200 as long as the process answers
 *   GET /readyz   200 while state is Running, else 503; tells of the gateway, never of the instances
 *   GET /status   the whole condition as JSON
 */
export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const { metrics, status, beforeScrape } = options;
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
  fastify.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .type('text/plain')
      .send('not found: this port has /metrics, /livez, /readyz and /status\n'),
  );
  return fastify;
}
