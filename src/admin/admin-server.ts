import type { FastifyInstance, FastifyReply } from 'fastify';
import Fastify from 'fastify';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { ShownState } from '../core/lifecycle.ts';
import type { BindingQuery } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { StatePages } from '../core/state-page.ts';
import type { ActsOptions } from './admin-acts.ts';
import { addActs } from './admin-acts.ts';
import { keepPendingConnections } from './idle-connections.ts';
import { bindingListing } from './listing.ts';
import type { PoolSource } from './pool-source.ts';
import { claimFailures, cutOffOf, driftReasons } from './status.ts';

export interface AdminServerOptions extends ActsOptions {
  readonly status: () => GatewayStatus;
  /** All metrics in the Prometheus text format. */
  readonly scrape: () => Promise<string>;
  readonly statePages: StatePages;
  /** The configuration in effect, in the form of a configuration file, with secrets masked. */
  readonly config: Readonly<Record<string, unknown>>;
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
 * The admin API, on its own port, so that a scrape or a probe never waits in a queue
 * behind traffic. The routes that change something are in `admin-acts.ts`.
 *
 *   GET /metrics  Prometheus text
 *   GET /livez    200 as long as the process answers
 *   GET /readyz   200 while state is Running, else 503; depends on the gateway, never on the instances
 *   GET /…/show_init_statepub.icp, /sap/public/icman/ping  the same, in the format of SAP Web Dispatcher
 *   GET /status   the whole status as JSON
 *   GET /config   the configuration in effect as JSON, secrets masked
 *   GET /bindings?pool=…  who is bound where, page by page; also `instance`, `limit`, `cursor`
 */
export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const { metrics, status, state, statePages, config, pools, scrape } = options;
  const fastify = Fastify({
    logger: false,
    bodyLimit: 8 * 1_024,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    forceCloseConnections: true,
    // While the gateway stops, requests on open connections still get the real state instead of a 503.
    return503OnClosing: false,
    // Reject misspelled fields instead of dropping them.
    ajv: { customOptions: { removeAdditional: false } },
    // A path that cannot be decoded is not found.
    frameworkErrors: (_error, _request, reply) => notFound(reply),
  });
  keepPendingConnections(fastify);

  fastify.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await scrape()),
  );
  fastify.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  fastify.get('/readyz', async (_request, reply) => {
    const word = state();
    const why = whyUnready(word, pools);
    return reply
      .code(word === 'Running' ? 200 : 503)
      .type('text/plain')
      .send(`${word}\n${why}`);
  });
  // Not as routes: both listeners must match the same paths.
  fastify.addHook('onRequest', async ({ method, originalUrl }, reply) => {
    if ((method !== 'GET' && method !== 'HEAD') || !statePages.covers(originalUrl)) return undefined;
    const { status: code, body } = statePages.answer(state());
    return reply.code(code).type('text/plain').header('cache-control', 'no-store').send(body);
  });
  fastify.get('/status', async () => status());
  fastify.get('/config', async () => config);
  fastify.get<{ Querystring: BindingsQuery }>(
    '/bindings',
    { schema: { querystring: BINDINGS_QUERY } },
    async ({ query: { pool: asked, ...query } }, reply) => {
      const only = pools.length === 1 ? pools[0]?.name : undefined;
      const name = asked ?? only;
      if (name === undefined) return reply.code(400).type('text/plain').send('name a pool: ?pool=…\n');
      const pool = pools.find((one) => one.name === name);
      if (pool === undefined) return reply.code(404).type('text/plain').send(`no pool is named ${name}\n`);
      try {
        return await bindingListing(pool, query);
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        return reply.code(503).type('text/plain').send('the affinity store is away\n');
      }
    },
  );
  addActs(fastify, options);
  fastify.setNotFoundHandler((_request, reply) => notFound(reply));
  return fastify;
}

function whyUnready(word: ShownState, pools: readonly PoolSource[]): string {
  if (word === 'Isolated') {
    const cutOff = cutOffOf(pools);
    const reasons = claimFailures(pools).map((failure) => `claims fail for pool ${failure}\n`);
    return (cutOff.length > 0 ? `cut off from ${cutOff.join(', ')}\n` : '') + reasons.join('');
  }
  if (word !== 'Drifted') return '';
  return driftReasons(pools)
    .map((reason) => `${reason}\n`)
    .join('');
}

function notFound(reply: FastifyReply): void {
  reply
    .code(404)
    .type('text/plain')
    .send('not found: this port has /metrics, /livez, /readyz, /status, /config, /bindings and /pools/…\n');
}
