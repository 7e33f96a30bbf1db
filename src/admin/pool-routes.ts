import { ActRefused } from '../core/act-refused.ts';
import {
  FAILBACK_EXPECTS,
  formatFailback,
  isTimeZone,
  parseFailback,
  ZONE_EXPECTS,
} from '../core/view/failback.ts';
import type { Failback } from '../core/view/policy.ts';
import type { ActRunner } from './act-runner.ts';
import type { ActsOptions, Readers } from './admin-options.ts';
import type { AgentName } from './binding-change.ts';
import { deadlineOf } from './deadline.ts';
import { forgetAgent } from './forget-agent.ts';
import { moveAgent } from './move-agent.ts';
import { activate, adoptConfig, failBack, setFailback, setRebalance } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import {
  ACTIVATE_FIELDS,
  ACTIVATED,
  CONFIGURED,
  FAILBACK_FIELDS,
  FAILBACK_SET,
  poolActBody,
  REBALANCE_FIELDS,
  REBALANCED,
} from './schemas/acts.ts';
import { AGENT_NAMES, FORGOTTEN, MOVE, MOVED } from './schemas/agents.ts';
import { POOL_PARAMS } from './schemas/fields.ts';
import { POOL_CHANGE_REFUSALS } from './schemas/refusals.ts';
import { configurationStatus, iso } from './status.ts';

// A shift, and some hours more.
const REBALANCED_FOR = '12h';

/** Changes of a whole pool, and of one agent. */
export function addPoolRoutes(routes: AdminRoutes, { pools, readers }: ActsOptions, runner: ActRunner): void {
  const outcome = ({ operations: { agreed } }: PoolSource, inEffect: boolean) => ({
    inEffect,
    epoch: agreed.epoch,
  });
  const activated = (pool: PoolSource, inEffect: boolean) => ({
    ...outcome(pool, inEffect),
    active: pool.operations.agreed.active,
    since: iso(pool.operations.agreed.activeSince),
  });
  routes.post(
    '/pools/:pool/activate',
    {
      schema: {
        summary: 'failover pools: makes this instance active at once',
        tags: ['pools'],
        params: POOL_PARAMS,
        body: poolActBody(ACTIVATE_FIELDS),
        response: { ...ACTIVATED, ...POOL_CHANGE_REFUSALS },
      },
      config: { role: 'operator' },
    },
    async ({ params, body }, reply) => {
      const pool = poolOf(pools, params);
      const { instance } = body;
      const inEffect = await runner.run({ pool, act: 'activate', instance, body }, (act) =>
        activate(pool, instance, act),
      );
      return reply.code(inEffect ? 200 : 202).send(activated(pool, inEffect));
    },
  );
  routes.post(
    '/pools/:pool/failback',
    {
      schema: {
        summary: 'failover pools: makes the most preferred instance that is up and enabled active at once',
        tags: ['pools'],
        params: POOL_PARAMS,
        body: poolActBody({}),
        response: { ...ACTIVATED, ...POOL_CHANGE_REFUSALS },
      },
      config: { role: 'operator' },
    },
    async ({ params, body }, reply) => {
      const pool = poolOf(pools, params);
      const inEffect = await runner.run({ pool, act: 'failback', body }, (act) => failBack(pool, act));
      return reply.code(inEffect ? 200 : 202).send(activated(pool, inEffect));
    },
  );
  routes.put(
    '/pools/:pool/failback-policy',
    {
      schema: {
        summary: 'failover pools: sets the policy, which then outranks the configuration',
        tags: ['pools'],
        params: POOL_PARAMS,
        body: poolActBody(FAILBACK_FIELDS),
        response: { 200: FAILBACK_SET, ...POOL_CHANGE_REFUSALS },
      },
      config: { role: 'admin' },
    },
    async ({ params, body }) => {
      const pool = poolOf(pools, params);
      const failback = failbackOf(body.policy, body.zone ?? pool.zone);
      await runner.run({ pool, act: 'failback-policy', body }, (act) => setFailback(pool, failback, act));
      return { failback: formatFailback(failback), zone: failback.kind === 'at' ? failback.zone : null };
    },
  );
  routes.post(
    '/pools/:pool/rebalance',
    {
      schema: {
        summary:
          'sticky pools: for some time, agents who have logged off move to instances with fewer agents as they log on again',
        tags: ['pools'],
        params: POOL_PARAMS,
        body: poolActBody(REBALANCE_FIELDS),
        response: { ...REBALANCED, ...POOL_CHANGE_REFUSALS },
      },
      config: { role: 'operator' },
    },
    async ({ params, body }, reply) => {
      const pool = poolOf(pools, params);
      const { storeNow } = pool.operations;
      if (body.end === true && body.deadline !== undefined)
        throw new ActRefused(400, 'deadline or end may be given, and not both');
      const until = body.end === true ? 0 : deadlineOf(body.deadline ?? REBALANCED_FOR, storeNow, readers);
      const inEffect = await runner.run({ pool, act: 'rebalance', body }, (act) =>
        setRebalance(pool, until, act),
      );
      return reply
        .code(inEffect ? 200 : 202)
        .send({ ...outcome(pool, inEffect), until: until === 0 ? null : iso(until) });
    },
  );
  routes.post(
    '/pools/:pool/adopt-config',
    {
      schema: {
        summary: 'all gateways act by the configuration of the gateway that gets this request',
        tags: ['pools'],
        params: POOL_PARAMS,
        body: poolActBody({}),
        response: { ...CONFIGURED, ...POOL_CHANGE_REFUSALS },
      },
      config: { role: 'admin' },
    },
    async ({ params, body }, reply) => {
      const pool = poolOf(pools, params);
      const inEffect = await runner.run({ pool, act: 'adopt-config', body }, (act) => adoptConfig(pool, act));
      return reply.code(inEffect ? 200 : 202).send({
        ...outcome(pool, inEffect),
        configuration: configurationStatus(pool.operations),
      });
    },
  );
  routes.post(
    '/pools/:pool/agents/move',
    {
      schema: {
        summary: 'sticky pools: moves one agent',
        tags: ['agents'],
        params: POOL_PARAMS,
        body: poolActBody(MOVE),
        response: { 200: MOVED, ...POOL_CHANGE_REFUSALS },
      },
      config: { role: 'operator' },
    },
    async ({ params, body }) => {
      const pool = poolOf(pools, params);
      const agent = agentOf(body, readers);
      const { instance, incarnation, generation } = await runner.run(
        { pool, act: 'move', instance: body.instance, body },
        (act) => moveAgent(pool, agent, body.instance, act),
      );
      return {
        agent: agent.shown,
        instance,
        incarnation: incarnation === '' ? null : incarnation,
        generation,
      };
    },
  );
  routes.post(
    '/pools/:pool/agents/forget',
    {
      schema: {
        summary:
          "sticky pools: ends an agent's binding, and the agent's next request is placed like a new agent's",
        tags: ['agents'],
        params: POOL_PARAMS,
        body: poolActBody(AGENT_NAMES),
        response: { 200: FORGOTTEN, ...POOL_CHANGE_REFUSALS },
      },
      config: { role: 'operator' },
    },
    async ({ params, body }) => {
      const pool = poolOf(pools, params);
      const agent = agentOf(body, readers);
      const { instance } = await runner.run({ pool, act: 'forget', body }, (act) =>
        forgetAgent(pool, agent, act),
      );
      return { agent: agent.shown, instance, forgotten: true as const };
    },
  );
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
): AgentName {
  if ((agent === undefined) === (session === undefined))
    throw new ActRefused(400, 'agent or session must be given, and not both');
  const name = agent === undefined ? readers.name('session', session ?? '') : readers.name('user', agent);
  if (name !== undefined) return { name, shown: readers.show(name), keyOf: (one) => readers.key(one) };
  throw new ActRefused(400, agent === undefined ? 'session must be a session' : 'agent must be a user name');
}
