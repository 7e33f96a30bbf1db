import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { ActRefused } from '../core/act-refused.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { ControlAnswer, LifecycleControl, ShownState } from '../core/lifecycle.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import { StoreUnavailable } from '../core/ports.ts';
import {
  FAILBACK_EXPECTS,
  formatFailback,
  isTimeZone,
  parseFailback,
  ZONE_EXPECTS,
} from '../core/view/failback.ts';
import type { Failback } from '../core/view/policy.ts';
import type { LoggedEvent } from '../core/view/view-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { ActBody } from './act-schemas.ts';
import { actSchema, DURATION_EXPECTS, explain, querySchema } from './act-schemas.ts';
import { requireToken } from './authorization.ts';
import { bindingListing } from './listing.ts';
import { moveAgent } from './move-agent.ts';
import type { Act } from './pool-acts.ts';
import { activate, adoptConfig, failBack, instanceOf, release, setAdmin, setFailback } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';
import { configurationStatus, instanceStatus, iso } from './status.ts';

/** Parses names and amounts the same way as the rest of the gateway. */
export interface Readers {
  /** The name in the form in which it is compared; `undefined` if it is not a valid name. */
  name(kind: 'user' | 'session', text: string): Name | undefined;
  /** The key of the name's stored form. */
  key(name: Name): string;
  /** The form that may be logged. */
  show(name: Name): string;
  /** Milliseconds; `undefined` if the text is not a duration. */
  duration(text: string): number | undefined;
}

export interface ActsOptions {
  readonly pools: readonly PoolSource[];
  /** The token that every change requires; `undefined` means that changes are not allowed. */
  readonly token: string | undefined;
  readonly readers: Readers;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly lifecycle: LifecycleControl;
  readonly state: () => ShownState;
}

interface PoolParams {
  readonly pool: string;
}
interface InstanceParams extends PoolParams {
  readonly instance: InstanceId;
}
interface Page {
  readonly limit?: number;
  readonly cursor?: string;
}

const EVENTS = 100;
const AGENTS = 100;

/**
 * The routes of the admin API that change something. Changes of a pool apply to every
 * gateway and survive restarts. Status 202 instead of 200 means that a change is
 * decided, but that not every gateway has acknowledged it yet.
 *
 * Code calls such a change an *act*. `pool-acts.ts` writes it into the pool's policy, and `core/view/next-view.ts`
 * makes the view in which it takes effect.
 *
 *   POST /pools/:pool/instances/:instance/enable, /drain, /disable, /release
 *   POST /pools/:pool/activate, /failback
 *   PUT  /pools/:pool/failback-policy
 *   POST /pools/:pool/adopt-config
 *   POST /pools/:pool/agents/move
 *   POST /maintenance, /stop, /restart, /reload
 *   GET  /pools/:pool/events
 *   GET  /pools/:pool/drain/:instance
 */
export function addActs(server: FastifyInstance, options: ActsOptions): void {
  void server.register((scope, _, done) => {
    scope.setErrorHandler<FastifyError>((error, { method }, reply) =>
      answerError(error, reply, options.logger, method !== 'GET'),
    );
    addReads(scope, options);
    void scope.register((guarded, __, guardedDone) => {
      guarded.addHook('onRequest', requireToken(options.token));
      addInstanceActs(guarded, options);
      addPoolActs(guarded, options);
      addGatewayActs(guarded, options);
      guardedDone();
    });
    done();
  });
}

function addReads(scope: FastifyInstance, { pools }: ActsOptions): void {
  scope.get<{ Params: PoolParams; Querystring: Page }>(
    '/pools/:pool/events',
    { schema: querySchema('limit') },
    async ({ params, query }) => {
      const events = await poolOf(pools, params).operations.events(query.limit ?? EVENTS);
      return { events: events.map(eventStatus) };
    },
  );
  scope.get<{ Params: InstanceParams; Querystring: Page }>(
    '/pools/:pool/drain/:instance',
    { schema: querySchema('limit', 'cursor') },
    async ({ params, query }) => {
      const pool = poolOf(pools, params);
      const { id, admin, act, boundAgents } = instanceStatus(pool, instanceOf(pool, params.instance));
      const { bindings, ...page } = await bindingListing(pool, { limit: AGENTS, ...query, instance: id });
      const agents = bindings.map(({ name, lastActive, expiresInSeconds }) => ({
        name,
        lastActive,
        expiresInSeconds,
      }));
      return {
        instance: id,
        admin,
        deadline: act?.deadline ?? null,
        remaining: boundAgents,
        agents,
        ...page,
      };
    },
  );
}

function addInstanceActs(scope: FastifyInstance, options: ActsOptions): void {
  const add = (
    verb: string,
    optional: readonly string[],
    run: (
      pool: PoolSource,
      id: InstanceId,
      act: Act,
      body: { readonly deadline?: string },
    ) => Promise<boolean>,
  ): void => {
    scope.post<{ Params: InstanceParams; Body: ActBody & { readonly deadline?: string } }>(
      `/pools/:pool/instances/:instance/${verb}`,
      { schema: actSchema([], optional) },
      async ({ params, body }, reply) => {
        const pool = poolOf(options.pools, params);
        const inEffect = await runLogged(options, pool, verb, params.instance, body, () =>
          run(pool, params.instance, body, body),
        );
        return answer(pool, reply, inEffect, {
          instance: instanceStatus(pool, instanceOf(pool, params.instance)),
        });
      },
    );
  };
  add('enable', [], (pool, id, act) => setAdmin(pool, id, 'enabled', 0, act));
  add('disable', [], (pool, id, act) => setAdmin(pool, id, 'disabled', 0, act));
  add('drain', ['deadline'], (pool, id, act, { deadline }) =>
    setAdmin(pool, id, 'draining', deadlineOf(deadline, pool.operations.storeNow, options.readers), act),
  );
  add('release', [], release);
}

function addPoolActs(scope: FastifyInstance, options: ActsOptions): void {
  const { pools, readers } = options;
  const active = ({ operations }: PoolSource) => ({
    active: operations.agreed.active,
    since: iso(operations.agreed.activeSince),
  });
  scope.post<{ Params: PoolParams; Body: ActBody & { readonly instance: InstanceId } }>(
    '/pools/:pool/activate',
    { schema: actSchema(['instance']) },
    async ({ params, body }, reply) => {
      const pool = poolOf(pools, params);
      const inEffect = await runLogged(options, pool, 'activate', body.instance, body, () =>
        activate(pool, body.instance, body),
      );
      return answer(pool, reply, inEffect, active(pool));
    },
  );
  scope.post<{ Params: PoolParams; Body: ActBody }>(
    '/pools/:pool/failback',
    { schema: actSchema() },
    async ({ params, body }, reply) => {
      const pool = poolOf(pools, params);
      const inEffect = await runLogged(options, pool, 'failback', '', body, () => failBack(pool, body));
      return answer(pool, reply, inEffect, active(pool));
    },
  );
  scope.put<{ Params: PoolParams; Body: ActBody & { readonly policy: string; readonly zone?: string } }>(
    '/pools/:pool/failback-policy',
    { schema: actSchema(['policy'], ['zone']) },
    async ({ params, body }) => {
      const pool = poolOf(pools, params);
      const failback = failbackOf(body.policy, body.zone ?? pool.zone);
      await runLogged(options, pool, 'failback-policy', '', body, () => setFailback(pool, failback, body));
      return { failback: formatFailback(failback), zone: failback.kind === 'at' ? failback.zone : null };
    },
  );
  scope.post<{ Params: PoolParams; Body: ActBody }>(
    '/pools/:pool/adopt-config',
    { schema: actSchema() },
    async ({ params, body }, reply) => {
      const pool = poolOf(pools, params);
      const inEffect = await runLogged(options, pool, 'adopt-config', '', body, () =>
        adoptConfig(pool, body),
      );
      return answer(pool, reply, inEffect, { configuration: configurationStatus(pool.operations) });
    },
  );
  scope.post<{
    Params: PoolParams;
    Body: ActBody & { readonly instance: InstanceId; readonly agent?: string; readonly session?: string };
  }>(
    '/pools/:pool/agents/move',
    { schema: actSchema(['instance'], ['agent', 'session']) },
    async ({ params, body }) => {
      const pool = poolOf(pools, params);
      const name = agentOf(body, readers);
      const agent = { name, shown: readers.show(name), keyOf: (one: Name) => readers.key(one) };
      const { instance, incarnation, generation } = await runLogged(
        options,
        pool,
        'move',
        body.instance,
        body,
        () => moveAgent(pool, agent, body.instance, body),
      );
      return {
        agent: agent.shown,
        instance,
        incarnation: incarnation === '' ? null : incarnation,
        generation,
      };
    },
  );
}

/** The routes that affect this gateway only. */
function addGatewayActs(scope: FastifyInstance, options: ActsOptions): void {
  const { lifecycle, readers, state } = options;
  const run = async (act: string, body: ActBody, ask: () => Promise<ControlAnswer>) => {
    await runLogged(options, NO_POOL, act, '', body, async () => {
      const answer = await ask();
      if (!answer.ok) throw new ActRefused(409, answer.message);
    });
    return { state: state() };
  };
  const reason = ({ why, by }: ActBody): string => `${why} (${by})`;
  scope.post<{ Body: ActBody & { readonly on: boolean } }>(
    '/maintenance',
    { schema: actSchema(['on']) },
    ({ body }) =>
      run(`maintenance-${body.on ? 'on' : 'off'}`, body, () => lifecycle.maintain(body.on, reason(body))),
  );
  scope.post<{ Body: ActBody & { readonly softTimeout?: string } }>(
    '/stop',
    { schema: actSchema([], ['softTimeout']) },
    ({ body }) => {
      const { softTimeout } = body;
      const timeout = softTimeout === undefined ? undefined : softTimeoutOf(softTimeout, readers);
      return run('stop', body, () => lifecycle.stop(reason(body), timeout));
    },
  );
  for (const act of ['restart', 'reload'] as const) {
    scope.post<{ Body: ActBody }>(`/${act}`, { schema: actSchema() }, ({ body }) =>
      run(act, body, () => lifecycle[act](reason(body))),
    );
  }
}

// The pool in labels and log fields of a route that affects this gateway only.
const NO_POOL = { name: '' };

/** Runs a change, and logs and counts its outcome. */
async function runLogged<Result>(
  { logger, metrics }: ActsOptions,
  { name: pool }: Pick<PoolSource, 'name'>,
  act: string,
  instance: InstanceId,
  { by, why }: ActBody,
  run: () => Promise<Result>,
): Promise<Result> {
  const fields = { pool, act, instance, by, why };
  try {
    const result = await run();
    metrics.adminActs.inc({ pool, act, outcome: 'ok' });
    logger.info(fields, 'act of an operator');
    return result;
  } catch (error) {
    const outcome = error instanceof StoreUnavailable ? 'unavailable' : 'refused';
    metrics.adminActs.inc({ pool, act, outcome });
    logger.info({ ...fields, reason: (error as Error).message }, 'act of an operator not carried out');
    throw error;
  }
}

function answer(
  { operations }: PoolSource,
  reply: FastifyReply,
  inEffect: boolean,
  state: Readonly<Record<string, unknown>>,
): FastifyReply {
  return reply.code(inEffect ? 200 : 202).send({ inEffect, epoch: operations.agreed.epoch, ...state });
}

function answerError(
  error: FastifyError,
  reply: FastifyReply,
  logger: Logger,
  isChange: boolean,
): FastifyReply {
  if (error.validation !== undefined)
    return reply.code(400).send({ error: explain(error.validation, error.validationContext ?? 'body') });
  if (error instanceof StoreUnavailable) {
    // The store may have made the change and only its answer was lost.
    const doubt = isChange ? '; the event log shows whether the change was made, once the store is back' : '';
    return reply.code(503).send({ error: `the store is away: ${error.message}${doubt}` });
  }
  const status = error.statusCode ?? 500;
  if (status < 500) return reply.code(status).send({ error: error.message });
  logger.error({ err: error }, 'the admin plane failed');
  return reply.code(500).send({ error: 'the gateway failed; see its log' });
}

function poolOf(pools: readonly PoolSource[], { pool }: PoolParams): PoolSource {
  const found = pools.find(({ name }) => name === pool);
  if (found !== undefined) return found;
  throw new ActRefused(404, `no pool is named ${pool}; there is ${pools.map(({ name }) => name).join(', ')}`);
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

const LONGEST_DRAIN_MS = 31 * 24 * 3_600_000;

function deadlineOf(text: string | undefined, now: number, { duration }: Readers): number {
  if (text === undefined) return 0;
  const at = ISO_TIME.test(text) ? Date.parse(text) : now + (duration(text) ?? Number.NaN);
  if (Number.isNaN(at))
    throw new ActRefused(
      400,
      'deadline must be a duration such as 30m, or a time such as 2026-03-01T22:00:00Z',
    );
  if (at > now + LONGEST_DRAIN_MS) throw new ActRefused(400, 'deadline must be within 31 days');
  if (at <= now) throw new ActRefused(400, 'deadline has passed; give a later one, or disable the instance');
  return at;
}

function softTimeoutOf(text: string, { duration }: Readers): number {
  const timeout = duration(text);
  if (timeout === undefined || timeout > LONGEST_TIMER_MS)
    throw new ActRefused(400, `softTimeout must be ${DURATION_EXPECTS}`);
  return timeout;
}

function failbackOf(policy: string, zone: string): Failback {
  const parsed = parseFailback(policy);
  if (parsed === undefined) throw new ActRefused(400, `policy must be ${FAILBACK_EXPECTS}`);
  if (!isTimeZone(zone)) throw new ActRefused(400, `zone must be ${ZONE_EXPECTS}`);
  return parsed.kind === 'at' ? { ...parsed, zone } : parsed;
}

function agentOf(
  { agent, session }: { readonly agent?: string; readonly session?: string },
  readers: Readers,
): Name {
  if ((agent === undefined) === (session === undefined))
    throw new ActRefused(400, 'agent or session must be given, and not both');
  const name = agent === undefined ? readers.name('session', session ?? '') : readers.name('user', agent);
  if (name !== undefined) return name;
  throw new ActRefused(400, agent === undefined ? 'session must be a session' : 'agent must be a user name');
}

function eventStatus({ at, ...event }: LoggedEvent): Readonly<Record<string, unknown>> {
  return { at: iso(at), ...event };
}
