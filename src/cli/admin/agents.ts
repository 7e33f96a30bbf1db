import type { Command } from 'commander';
import type { AgentLine, AgentPage, AgentStatus } from '../../core/agent-status.ts';
import type { GatewayStatus } from '../../core/gateway-status.ts';
import { span } from '../../core/span.ts';
import { AdminRefused, askAdmin } from './client.ts';
import type { AdminContext, ChangeFlags, ReadFlags } from './context.ts';
import { change, changeCommand, EXIT_NO, poolPath, read, readCommand } from './context.ts';
import type { Column, Look } from './present.ts';
import { counted, fields, lastRequest, NONE, printable, show, since, table } from './present.ts';

interface ListFlags extends ReadFlags {
  readonly prefix?: string;
  readonly instance?: string;
  readonly group?: string;
  readonly idleSince?: string;
  readonly limit: string;
  readonly cursor?: string;
}

interface FindFlags extends ReadFlags {
  readonly pool?: string;
  readonly kind?: string;
}

type NameFlags = ChangeFlags & { readonly session?: boolean };

export function addAgents(admin: Command, context: AdminContext): void {
  readCommand(
    admin,
    'agents [pool]',
    'List the bound agents of a pool. The pool may be left out if only one binds agents.',
  )
    .option('--prefix <text>', 'only names that begin with this')
    .option('--instance <id>', 'only those of this instance')
    .option('--group <name>', 'only those of this group, by the file or the patterns of groups')
    .option(
      '--idle-since <when>',
      'only those without a request since: a duration such as 30m, or a time such as 2026-03-01T22:00:00Z',
    )
    .option('--limit <n>', 'number of agents', '100')
    .option('--cursor <next>', 'continue after the page that named this cursor')
    .action(
      async (
        pool: string | undefined,
        { prefix, instance, group, idleSince, limit, cursor, ...flags }: ListFlags,
      ) => {
        const path = `${poolPath(pool ?? (await onlyPool(context, flags)))}/agents`;
        const query = { prefix, instance, group, idleSince, limit, cursor };
        await read<AgentPage>(context, flags, { path, query }, (page, look) => pageText(page, look, group));
      },
    );
  readCommand(
    admin,
    'agent <name>',
    'Say where an agent is, since when and why. The name is a user, a session or its hash, or a client address. The exit code is 3 if nothing is bound under it.',
  )
    .option('--pool <name>', 'look in this pool only')
    .option('--kind <kind>', 'take the name for a user, a session or an address only')
    .action((name: string, flags: FindFlags) => findAgent(context, name, flags));
  changeCommand(
    admin,
    'move <pool> <agent> <instance>',
    'Move one agent of a sticky pool to another instance.',
  )
    .option('--session', '<agent> is a session instead of a user name')
    .action((pool: string, agent: string, instance: string, { session, ...flags }: NameFlags) =>
      change<{ readonly agent: string; readonly instance: string }>(
        context,
        flags,
        `${poolPath(pool)}/agents/move`,
        { instance, [session === true ? 'session' : 'agent']: agent },
        (moved) => printable(`${moved.agent} is on ${moved.instance} now`),
      ),
    );
  changeCommand(
    admin,
    'forget <pool> <agent>',
    'End the binding of one agent of a sticky pool. The next request of the agent is placed like that of a new one.',
  )
    .option('--session', '<agent> is a session instead of a user name')
    .action((pool: string, agent: string, { session, ...flags }: NameFlags) =>
      change<{ readonly agent: string; readonly instance: string }>(
        context,
        flags,
        `${poolPath(pool)}/agents/forget`,
        { [session === true ? 'session' : 'agent']: agent },
        (forgotten) => printable(`${forgotten.agent} is no longer bound to ${forgotten.instance}`),
      ),
    );
}

/** Asks all pools that bind agents, because an operator who is called knows the agent and not the pool. */
async function findAgent(
  context: AdminContext,
  name: string,
  { pool, kind, ...flags }: FindFlags,
): Promise<void> {
  const { env, output, exitWith } = context;
  const pools = await poolsToAsk(context, flags, pool);
  const found: AgentStatus[] = [];
  let refusal: AdminRefused | undefined;
  for (const one of pools) {
    const path = `${poolPath(one)}/agents/${encodeURIComponent(name)}`;
    try {
      const { body } = await askAdmin<AgentStatus>(flags, { method: 'GET', path, query: { kind } }, env);
      found.push(body);
    } catch (error) {
      if (!(error instanceof AdminRefused && error.isMissing)) throw error;
      refusal = error;
    }
  }
  const [only, ...others] = found;
  if (only === undefined) {
    output.err(`${refusal?.message ?? `no agent is bound as ${name}`}\n`);
    exitWith(EXIT_NO);
  } else if (others.length === 0) {
    show(output, flags, only, agentText);
  } else if (flags.json === true || output.terminal === undefined) {
    // A program gets one agent or an error, and not sometimes a list.
    const names = found.map((one) => one.pool).join(', ');
    throw new Error(`${name} is bound in the pools ${names}; name one with --pool`);
  } else {
    show(output, flags, found, (all, look) => all.map((one) => agentText(one, look)).join('\n\n'));
  }
}

/** @param only the pool that the operator named */
async function poolsToAsk({ env }: AdminContext, flags: ReadFlags, only?: string): Promise<string[]> {
  const { body } = await askAdmin<GatewayStatus>(flags, { method: 'GET', path: '/status' }, env);
  const names = body.pools.map(({ name }) => name);
  // The gateway answers 404 in both cases, but only "no such agent" is an answer to the question.
  if (only !== undefined && !names.includes(only))
    throw new Error(`no pool is named ${only}; there is ${names.join(', ')}`);
  if (only !== undefined) return [only];
  const sticky = body.pools.filter(({ mode }) => mode === 'sticky').map(({ name }) => name);
  // A failover pool has one answer for every name: its active instance.
  return sticky.length > 0 ? sticky : names;
}

async function onlyPool(context: AdminContext, flags: ReadFlags): Promise<string> {
  const names = await poolsToAsk(context, flags);
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw new Error(`name a pool: ${names.join(', ')}`);
}

function pageText(
  { agents, lastActiveWithinSeconds, next }: AgentPage,
  look: Look,
  group: string | undefined,
): string {
  if (agents.length === 0 && next === null)
    return group === undefined
      ? 'no agents'
      : printable(
          `no agent of group ${group} is bound; members by a header (groups.header) are not known here`,
        );
  if (agents.length === 0) return `no agents on this page; --cursor ${next}`;
  const more = next === null ? [] : [`more: --cursor ${printable(next)}`];
  return [
    table(agentColumns(agents, lastActiveWithinSeconds, look), agents, look),
    look.paint('dim', counted(agents.length, 'agent')),
    ...more,
  ].join('\n');
}

/** How the gateway knows the name. */
const NAMED_BY: Readonly<Record<AgentLine['identity'], string>> = {
  asserted: 'SAP',
  found: 'message body',
  address: 'client address',
};

function agentColumns(agents: readonly AgentLine[], within: number, look: Look): Column<AgentLine>[] {
  // Gateways of earlier releases do not tell of groups.
  const hasGroups = agents.some(({ group }) => group != null);
  const groupColumn: Column<AgentLine> = { head: 'GROUP', cell: ({ group }) => group ?? NONE };
  return [
    { head: 'AGENT', cell: ({ name, kind }) => (kind === 'user' ? name : `${kind}:${name}`) },
    ...(hasGroups ? [groupColumn] : []),
    { head: 'INSTANCE', cell: ({ instance }) => instance },
    { head: 'SINCE', cell: ({ boundSince }) => (boundSince === null ? NONE : since(boundSince, look)) },
    { head: 'LAST REQUEST', cell: ({ lastActive }) => lastRequest(lastActive, within, look) },
    {
      head: 'ENDS IN',
      cell: (line) => `${span(line.expiresInSeconds * 1_000)}${line.loggedOff ? ', logged off' : ''}`,
      right: true,
    },
    { head: 'NAMED BY', cell: ({ identity }) => NAMED_BY[identity] },
  ];
}

function agentText(agent: AgentStatus, look: Look): string {
  const { pool, mode, instance, incarnation, current, aliases, moving } = agent;
  const { lastActive, expiresInSeconds, generation } = agent;
  const life = incarnation === null ? '' : `, incarnation ${incarnation}`;
  const names = aliases.map(({ kind, name }) => `${kind}:${name}`).join(', ');
  const pairs: [string, string][] = [
    ['pool', `${pool} (${mode})`],
    ['instance', `${instance}${life}${current ? '' : ', which has lost the agent'}`],
    ...(agent.group == null ? [] : [['group', agent.group] as [string, string]]),
    ['other names', names === '' ? NONE : names],
  ];
  // A failover pool binds no agents.
  if (lastActive !== null)
    pairs.push(['last request', lastRequest(lastActive, agent.lastActiveWithinSeconds, look)]);
  if (expiresInSeconds !== null)
    pairs.push([
      'ends in',
      `${span(expiresInSeconds * 1_000)} without a request${agent.loggedOff ? ', because the agent has logged off' : ''}`,
    ]);
  if (generation !== null) pairs.push(['generation', String(generation)]);
  if (moving !== null) pairs.push(['moving to', moving.to]);
  return [look.paint('bold', printable(agent.sentence)), fields(pairs, look)].join('\n');
}
