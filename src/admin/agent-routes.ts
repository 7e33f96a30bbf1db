import { ActRefused } from '../core/act-refused.ts';
import type { Name, NameKind } from '../core/identity.ts';
import type { BindingQuery } from '../core/ports.ts';
import type { ActsOptions, Readers } from './admin-options.ts';
import { agentPage, agentStatus } from './agents.ts';
import { sinceOf } from './moments.ts';
import type { PoolSource } from './pool-source.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import {
  AGENT,
  AGENT_NAME_EXPECTS,
  AGENT_PARAMS,
  AGENT_QUERY,
  AGENTS,
  AGENTS_QUERY,
} from './schemas/agents.ts';
import { POOL_PARAMS } from './schemas/fields.ts';
import { LIST_REFUSALS, READ_REFUSALS } from './schemas/refusals.ts';

const AGENTS_LISTED = 100;
const ALL_KINDS: readonly NameKind[] = ['user', 'session', 'address'];

/** Where agents are, since when and why. */
export function addAgentRoutes(
  routes: AdminRoutes,
  { pools, readers }: Pick<ActsOptions, 'pools' | 'readers'>,
): void {
  routes.get(
    '/pools/:pool/agents',
    {
      schema: {
        summary: 'the bound agents of a pool, page by page',
        tags: ['agents'],
        params: POOL_PARAMS,
        querystring: AGENTS_QUERY,
        response: { 200: AGENTS, ...LIST_REFUSALS },
      },
      config: { role: 'viewer' },
    },
    async ({ params, query: { prefix, idleSince, group, limit = AGENTS_LISTED, ...query } }) => {
      const pool = poolOf(pools, params);
      const filter: BindingQuery = {
        ...query,
        limit,
        ...(prefix === undefined ? {} : { prefix: prefixOf(prefix, readers) }),
        ...(idleSince === undefined ? {} : { idleMs: idleMsOf(idleSince, pool, readers) }),
      };
      return agentPage(pool, filter, group);
    },
  );
  routes.get(
    '/pools/:pool/agents/:name',
    {
      schema: {
        summary: 'where one agent is, since when and why',
        tags: ['agents'],
        params: AGENT_PARAMS,
        querystring: AGENT_QUERY,
        response: { 200: AGENT, ...READ_REFUSALS },
      },
      config: { role: 'viewer' },
    },
    async ({ params, query: { kind } }) => {
      const kinds = kind === undefined ? ALL_KINDS : [kind];
      const names = kinds.map((one) => readers.name(one, params.name)).filter((one) => one !== undefined);
      const [first, ...others] = names;
      if (first === undefined) throw new ActRefused(400, `name must be ${AGENT_NAME_EXPECTS}`);
      return agentStatus(poolOf(pools, params), [first, ...others], (name) => readers.key(name));
    },
  );
}

/** The begin of a name in the form in which names are stored. */
function prefixOf(text: string, { name }: Readers): string {
  const canonical: Name | undefined = name('user', text);
  if (canonical === undefined) throw new ActRefused(400, 'prefix must be the begin of a name');
  return canonical.value;
}

function idleMsOf(text: string, { operations }: PoolSource, readers: Readers): number {
  const now = operations.storeNow;
  return Math.max(0, Math.round(now - sinceOf('idleSince', text, now, readers)));
}
