import { randomBytes } from 'node:crypto';
import { parseNameKey } from '../core/identity.ts';
import type { IncidentFacts } from '../core/incident/facts.ts';
import { Pseudonyms } from '../core/incident/pseudonyms.ts';
import { ROLES } from '../core/role.ts';
import type { ShownOption } from '../core/shown-option.ts';
import type { PoolEvent } from '../core/view/agreed-view.ts';
import type { AdminServerOptions } from './admin-options.ts';
import type { PoolSource } from './pool-source.ts';

// What an operator did; views are made by gateways.
const ACTS = new Set<PoolEvent['kind']>([
  ...([
    'admin',
    'moved',
    'forgotten',
    'failback-policy',
    'rebalance',
    'configured',
    'activate',
    'release',
  ] as const),
  ...(['maintenance', 'stop', 'restart', 'reload'] as const),
]);

const MASK = '***';
const USERS_OPTION = /\.groups\.patterns\b.*\.users$/;
const PAGE = 1_000;
const MOST_PAGES = 20;

/** How the reason of such an event begins. */
const AGENT = /^(?:user|session|address):(.+?): /;

/** Pseudonyms for the agents and operators that an archive names. Each archive has others. */
export function namesIn(
  { status, gateways, events, lines, recent }: IncidentFacts,
  { pools, config }: Pick<AdminServerOptions, 'pools' | 'config'>,
): Pseudonyms {
  const replicas = [
    ...[status.replica, ...gateways.map(({ replica }) => replica)],
    ...status.pools.flatMap((pool) => pool.replicas.map(({ replica }) => replica)),
    // Gateways that have ended.
    ...events.flatMap(({ kind, by, gateway = '' }) => (ACTS.has(kind) ? [gateway] : [by, gateway])),
    ...lines.flatMap(({ fields }) => (typeof fields['gateway'] === 'string' ? [fields['gateway']] : [])),
  ];
  const names = new Pseudonyms(randomBytes(32), [
    ...replicas,
    ...[...ROLES, 'configuration', 'operator', 'gateway', status.host],
    ...pools.map(({ name }) => name),
    ...status.pools.flatMap(({ instances }) => instances.map(({ id }) => id)),
  ]);
  for (const { kind, by, why } of events) {
    if (ACTS.has(kind)) names.know(by);
    if (kind === 'moved' || kind === 'forgotten') names.know(AGENT.exec(why)?.[1]);
  }
  for (const { operations } of pools) {
    const { policy } = operations.lastSync;
    for (const act of Object.values(policy.instances)) names.know(act.by);
    names.know(policy.rebalance?.by);
    for (const { key, by } of [...operations.agreed.moving, ...policy.moves]) {
      names.know(parseNameKey(key)?.value);
      names.know(by);
    }
  }
  for (const { user } of recent) names.know(user);
  for (const { fields } of lines) for (const name of namesOf(fields['names'])) names.know(name);
  for (const name of tokenNames(config)) names.know(name);
  return names;
}

/** Operators write names of agents into their reasons. Reads those who are bound, as far as they are few enough. */
export async function knowAgents(names: Pseudonyms, { bindings }: PoolSource): Promise<void> {
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const read = await bindings.list({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    for (const { binding } of read.bindings) {
      const { kind, value } = binding.root;
      // A digest is no name.
      if (kind !== 'session' && !value.startsWith('~')) names.know(value);
    }
    cursor = read.cursor;
    if (cursor === undefined) return;
  }
  throw new Error(`only ${PAGE * MOST_PAGES} of them were looked for`);
}

/** The configuration without the patterns of groups, which may be lists of users. */
export function withoutUsers(config: unknown): unknown {
  return JSON.parse(
    JSON.stringify(config, (key, value) => (key === 'patterns' ? maskedPatterns(value) : value)),
  );
}

/** The same of options that are shown one by one. */
export function withoutShownUsers(options: readonly ShownOption[]): readonly ShownOption[] {
  return options.map((one) => (USERS_OPTION.test(one.path) ? { ...one, value: MASK } : one));
}

function maskedPatterns(patterns: unknown): unknown {
  return Array.isArray(patterns) ? patterns.map((one) => ({ ...one, users: MASK })) : patterns;
}

/** The log shows them as `user:MILLER`. */
function namesOf(shown: unknown): string[] {
  return Array.isArray(shown) ? shown.map((name) => String(name).replace(/^\w+:/, '')) : [];
}

function tokenNames({ admin }: Readonly<Record<string, unknown>>): string[] {
  const { tokens = [] } = (admin ?? {}) as { readonly tokens?: readonly { readonly name?: string }[] };
  return tokens.flatMap(({ name }) => (name === undefined ? [] : [name]));
}
