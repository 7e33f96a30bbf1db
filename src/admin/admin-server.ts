import { parse } from 'node:querystring';
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from 'fastify';
import Fastify from 'fastify';
import * as Type from 'typebox';
import { showHidden } from '../core/hidden-characters.ts';
import { loopAnswer } from '../core/via.ts';
import { VERSION } from '../package.ts';
import { Connections } from '../sockets/connections.ts';
import { ActRunner } from './act-runner.ts';
import type { AdminServerOptions } from './admin-options.ts';
import { addAgentRoutes } from './agent-routes.ts';
import { Access } from './auth/access.ts';
import { guard } from './auth/guard.ts';
import { protectAnswers } from './auth/response-headers.ts';
import { SecurityLog } from './auth/security-log.ts';
import { addSessionRoutes } from './auth/session-routes.ts';
import { addConsole } from './console-files.ts';
import { addExplainRoutes } from './explain-routes.ts';
import { addGatewayRoutes } from './gateway-routes.ts';
import { addHistoryRoutes } from './history-routes.ts';
import { keepPendingConnections } from './idle-connections.ts';
import { addIncidentRoute } from './incident-route.ts';
import { addInstanceRoutes } from './instance-routes.ts';
import type { OpenApiDocument } from './openapi.ts';
import { openApiDocument } from './openapi.ts';
import { addPoolRoutes } from './pool-routes.ts';
import { addProbeRoutes } from './probe-routes.ts';
import { addReadRoutes } from './read-routes.ts';
import { answerErrors } from './request-errors.ts';
import { addRequestRoutes } from './request-routes.ts';
import type { AdminRoutes, DescribedRoute } from './route.ts';
import { collectRoutes } from './route.ts';
import { checkLater } from './schema-checks.ts';
import { addSeenNamesRoute } from './seen-names-route.ts';
import { addStreamRoute } from './stream-route.ts';

// A browser opens six, a proxy in front of some operators a few dozen. Probes and scrapes come from other addresses.
const MOST_OF_ONE_PEER = 100;

/**
 * The admin API, on its own port, so that a scrape or a probe never waits in a queue behind traffic. Each route has
 * schemas of what it takes and answers, and the role that it needs; `GET /openapi.json` and `deploy/docs/admin-api.md`
 * are made of them. The pages for balancers (`core/state-page.ts`) are answered beside the routes.
 *
 * Code calls a change by an operator an *act*. `pool-acts.ts` writes it into the pool's policy, and
 * `core/view/next-view.ts` makes the view in which it takes effect. Changes of a pool apply to every gateway and survive
 * restarts. Status 202 instead of 200 means that a change is decided, but that not every gateway has acknowledged it yet.
 */
export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const { state, statePages, logger, tls } = options;
  const fastify = Fastify({
    ...(tls === undefined ? {} : { https: tls }),
    logger: false,
    bodyLimit: 8 * 1_024,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    forceCloseConnections: true,
    // While the gateway stops, requests on open connections still get the real state instead of a 503.
    return503OnClosing: false,
    // A session may be part of a path.
    routerOptions: { maxParamLength: 1_000, querystringParser: readQuery },
    // A path that cannot be decoded is not found.
    frameworkErrors: (_error, _request, reply) => notFound(reply),
  } as FastifyServerOptions);
  // Forms of other sites can send plain text.
  fastify.removeContentTypeParser('text/plain');
  keepPendingConnections(fastify);
  protectAnswers(fastify);
  fastify.setValidatorCompiler(checkLater);
  // Answers are sent as they are. A serializer made of their schemas would hide what the schemas lack.
  fastify.setSerializerCompiler(() => (answer) => showHidden(JSON.stringify(answer)));
  fastify.setErrorHandler(answerErrors(logger));
  fastify.setNotFoundHandler((_request, reply) => notFound(reply));
  fastify.addHook('onRequest', async ({ headers }, reply) => {
    const loop = loopAnswer(headers.via, options.via);
    return loop && reply.code(loop.status).type('text/plain').send(loop.text);
  });
  // Not as routes: both listeners must match the same paths.
  fastify.addHook('onRequest', async ({ method, originalUrl }, reply) => {
    if ((method !== 'GET' && method !== 'HEAD') || !statePages.covers(originalUrl)) return undefined;
    const { status: code, body } = statePages.answer(state());
    return reply.code(code).type('text/plain').header('cache-control', 'no-store').send(body);
  });

  const access = new Access(options.access);
  const securityLog = new SecurityLog(logger);
  guard(fastify, access, securityLog);
  const tooMany = (source: string): void =>
    securityLog.recordOnce({
      kind: 'forbidden',
      source,
      why: 'too many connections at once',
      outcome: 'closed',
    });
  new Connections(fastify.server, {
    most: options.maxConnections,
    mostOfOne: MOST_OF_ONE_PEER,
    onRefused: tooMany,
    onGiveWay: tooMany,
  });

  // Before the routes are collected: the console is no part of the interface that openapi.json describes.
  addConsole(fastify, options.console);
  const described = collectRoutes(fastify);
  const routes: AdminRoutes = fastify.withTypeProvider();
  const runner = new ActRunner(options);
  addProbeRoutes(routes, options);
  addReadRoutes(routes, options);
  addStreamRoute(routes, options);
  addRequestRoutes(routes, options);
  addAgentRoutes(routes, options);
  addSeenNamesRoute(routes, options);
  addHistoryRoutes(routes, options);
  addExplainRoutes(routes, options);
  addIncidentRoute(routes, options);
  addDescription(routes, described);
  addSessionRoutes(routes, access, securityLog);
  addInstanceRoutes(routes, options, runner);
  addPoolRoutes(routes, options, runner);
  addGatewayRoutes(routes, options, runner);
  return fastify;
}

/** Parameters are text, except `limit`. */
function readQuery(text: string): Readonly<Record<string, unknown>> {
  const query: Record<string, unknown> = parse(text);
  const { limit } = query;
  return typeof limit === 'string' && /^\d+$/.test(limit) ? { ...query, limit: Number(limit) } : query;
}

function addDescription(routes: AdminRoutes, described: readonly DescribedRoute[]): void {
  let document: OpenApiDocument | undefined;
  const schema = Type.Unsafe<OpenApiDocument>({
    type: 'object',
    additionalProperties: true,
    description: 'a document of OpenAPI 3.1',
  });
  routes.get(
    '/openapi.json',
    {
      schema: { summary: 'describes this interface', tags: ['status'], response: { 200: schema } },
      config: { role: 'viewer' },
    },
    async () => {
      document ??= openApiDocument(described, VERSION);
      return document;
    },
  );
}

function notFound(reply: FastifyReply): FastifyReply {
  return reply
    .code(404)
    .type('text/plain')
    .send(
      'not found: this port has /metrics, /livez, /readyz, /status, /config, /bindings, /pools/… and /openapi.json, which lists all\n',
    );
}
