import * as Type from 'typebox';
import { consequenceOf } from '../core/consequence.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { AdminServerOptions } from './admin-options.ts';
import { drainFacts } from './drain-facts.ts';
import { listEvents } from './event-log.ts';
import { bindingListing } from './listing.ts';
import { instanceOf } from './pool-acts.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import { CONSEQUENCE, CONSEQUENCE_QUERY } from './schemas/acts.ts';
import { BINDINGS, BINDINGS_QUERY, DRAIN, PAGE_QUERY } from './schemas/agents.ts';
import { EVENTS, EVENTS_QUERY } from './schemas/events.ts';
import { INSTANCE_PARAMS, POOL_PARAMS } from './schemas/fields.ts';
import { GATEWAYS } from './schemas/gateways.ts';
import { SHOWN_OPTIONS } from './schemas/options.ts';
import { LIST_REFUSALS, plain, plainOrJson, READ_REFUSALS } from './schemas/refusals.ts';
import { STATUS } from './schemas/status.ts';
import { instanceStatus, poolStatus } from './status.ts';

const AGENTS_LISTED = 100;

const CONFIG = Type.Unsafe<Readonly<Record<string, unknown>>>({
  type: 'object',
  additionalProperties: true,
  description: 'as in a configuration file; deploy/gateway.schema.json describes it',
});

type ReadOptions = Pick<
  AdminServerOptions,
  'pools' | 'status' | 'gateways' | 'config' | 'options' | 'readers'
>;

/** What operators and their tools read. */
export function addReadRoutes(
  routes: AdminRoutes,
  { pools, status, gateways, config, options, readers }: ReadOptions,
): void {
  routes.get(
    '/status',
    {
      schema: { summary: 'the whole state of the gateway', tags: ['status'], response: { 200: STATUS } },
      config: { role: 'viewer' },
    },
    async () => status(),
  );
  routes.get(
    '/gateways',
    {
      schema: {
        summary: 'all gateways that share the store, and where their admin ports are',
        tags: ['status'],
        response: { 200: GATEWAYS },
      },
      config: { role: 'viewer' },
    },
    async () => gateways(),
  );
  routes.get(
    '/config',
    {
      schema: {
        summary: 'the configuration in effect, with secrets masked',
        tags: ['status'],
        response: { 200: CONFIG },
      },
      config: { role: 'viewer' },
    },
    async () => config,
  );
  routes.get(
    '/config/options',
    {
      schema: {
        summary: 'every option with its value in effect, its default and where the value comes from',
        tags: ['status'],
        response: { 200: SHOWN_OPTIONS },
      },
      config: { role: 'viewer' },
    },
    async () => ({ options }),
  );
  routes.get(
    '/bindings',
    {
      schema: {
        summary: 'who is bound where, page by page',
        tags: ['agents'],
        querystring: BINDINGS_QUERY,
        response: {
          200: BINDINGS,
          400: plainOrJson('a parameter is wrong, or the pool is not named'),
          404: plain('no such pool'),
          429: LIST_REFUSALS[429],
          503: plain('the store is away'),
        },
      },
      config: { role: 'viewer' },
    },
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
  routes.get(
    '/pools/:pool/events',
    {
      schema: {
        summary: 'the event log, newest first: changes by operators and changes of the view',
        tags: ['pools'],
        params: POOL_PARAMS,
        querystring: EVENTS_QUERY,
        response: { 200: EVENTS, ...READ_REFUSALS },
      },
      config: { role: 'viewer' },
    },
    async ({ params, query }) => {
      const { operations } = poolOf(pools, params);
      return listEvents(operations, query, readers);
    },
  );
  routes.get(
    '/pools/:pool/drain/:instance',
    {
      schema: {
        summary: 'the agents that are still bound to an instance, with last activity',
        tags: ['agents'],
        params: INSTANCE_PARAMS,
        querystring: PAGE_QUERY,
        response: { 200: DRAIN, ...LIST_REFUSALS },
      },
      config: { role: 'viewer' },
    },
    async ({ params, query }) => {
      const pool = poolOf(pools, params);
      const { id, admin, act, boundAgents } = instanceStatus(pool, instanceOf(pool, params.instance));
      const listing = await bindingListing(pool, { limit: AGENTS_LISTED, ...query, instance: id });
      const { bindings, ...page } = listing;
      const { loggedOff, lastEnd } = await drainFacts(pool, id, boundAgents);
      return {
        instance: id,
        admin,
        deadline: act?.deadline ?? null,
        remaining: boundAgents,
        loggedOff,
        lastEnd,
        agents: bindings.map(({ name, lastActive, loggedOff: hasLoggedOff, expiresInSeconds }) => ({
          name,
          lastActive,
          loggedOff: hasLoggedOff,
          expiresInSeconds,
        })),
        ...page,
      };
    },
  );
  routes.get(
    '/pools/:pool/instances/:instance/consequence',
    {
      schema: {
        summary: 'what an act would do to the agents of the pool now',
        tags: ['pools'],
        params: INSTANCE_PARAMS,
        querystring: CONSEQUENCE_QUERY,
        response: { 200: CONSEQUENCE, ...READ_REFUSALS },
      },
      config: { role: 'viewer' },
    },
    async ({ params, query }) => {
      const pool = poolOf(pools, params);
      const { id } = instanceOf(pool, params.instance);
      const status = poolStatus(pool, undefined);
      return { ...consequenceOf(query.act, status, id), view: status.view.id };
    },
  );
}
