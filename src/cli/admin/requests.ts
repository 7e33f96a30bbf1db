import type { Command } from 'commander';
import type { ErrorLine, ErrorsStatus, UnnamedOperation } from '../../core/error-advice.ts';
import type { RecentRequest, RecentRequestsStatus } from '../../core/recent-requests.ts';
import type { Question } from './client.ts';
import { AdminSilent, askAdmin, pause } from './client.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { read, readCommand } from './context.ts';
import type { Column, Look } from './present.ts';
import { clock, counted, lookOf, milliseconds, NONE, printable, since, table, timeHead } from './present.ts';

const EVERY_MS = 1_000;
// As many as one answer lists.
const MOST_AT_ONCE = 1_000;

interface RequestFlags extends ReadFlags {
  readonly user?: string;
  readonly session?: string;
  readonly instance?: string;
  readonly code?: string;
  readonly operation?: string;
  readonly limit: string;
  readonly follow?: boolean;
}

export function addRequests(admin: Command, context: AdminContext): void {
  readCommand(
    admin,
    'requests [pool]',
    'Show the last requests of a gateway, of one pool or of all: who, where to, what became of them.',
  )
    .option('--user <name>', 'only those of this agent')
    .option('--session <value>', 'only those of this session, or of the one with this digest')
    .option('--instance <id>', 'only those that were sent to this instance')
    .option('--code <code>', 'only those with this error of the gateway, such as GW_NO_INSTANCE, or any')
    .option('--operation <name>', 'only those with this first element in the SOAP Body')
    .option('--limit <n>', 'number of requests to begin with', '20')
    .option('--follow', 'go on with those that come, until Ctrl-C')
    .action(async (pool: string | undefined, { limit, follow = false, ...flags }: RequestFlags) => {
      const { user, session, instance, code, operation } = flags;
      const query = { pool, user, session, instance, code, operation };
      const question = { path: '/requests', query: { ...query, limit } };
      if (follow) await followRequests(context, flags, query, limit);
      else await read<RecentRequestsStatus>(context, flags, question, requestsText);
    });
  readCommand(
    admin,
    'errors',
    "Show the gateway's own errors since it started: how many, at whose side, what to do, and the last requests.",
  )
    .option('--all', 'also codes that did not occur')
    .action(async ({ all = false, ...flags }: ReadFlags & { readonly all?: boolean }) => {
      await read<ErrorsStatus>(context, flags, { path: '/errors' }, (body, look) =>
        errorsText(body, all, look),
      );
    });
}

/** Prints what comes, oldest first; as JSON a line for each request. */
async function followRequests(
  { env, output }: AdminContext,
  flags: ReadFlags,
  query: Question['query'],
  limit: string,
): Promise<void> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  process.once('SIGINT', end);
  const { signal } = ending;
  const isJson = flags.json === true || output.terminal === undefined;
  let after: string | undefined;
  let isAway = false;
  try {
    while (!signal.aborted) {
      const asked = { ...query, limit: after === undefined ? limit : MOST_AT_ONCE, after };
      try {
        const { body } = await askAdmin<RecentRequestsStatus>(
          flags,
          { method: 'GET', path: '/requests', query: asked, signal },
          env,
        );
        isAway = false;
        const lines = [...body.requests].reverse();
        if (isJson) for (const line of lines) output.out(`${JSON.stringify(line)}\n`);
        else if (output.terminal !== undefined) {
          const text = table(columns(lookOf(output.terminal)), lines, lookOf(output.terminal));
          const shown = after === undefined ? text : text.split('\n').slice(1).join('\n');
          if (shown !== '') output.out(`${shown}\n`);
        }
        for (const gap of gapsOf(body)) output.err(`${gap}\n`);
        after = body.last;
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof AdminSilent) || after === undefined) throw error;
        if (!isAway) output.err(`${error.message}; trying again\n`);
        isAway = true;
      }
      await pause(EVERY_MS, signal);
    }
  } finally {
    process.off('SIGINT', end);
  }
}

/** What a follower does not see. */
function gapsOf({ missed, silent, hasEnded }: RecentRequestsStatus): string[] {
  return [
    ...(missed === 0 ? [] : [`… ${counted(missed, 'request')} missed: more came than can be listed`]),
    ...(silent.length === 0
      ? []
      : [`… ${silent.join(', ')} did not answer in time; its requests come later`]),
    ...(hasEnded ? ['… a worker has ended, so its last requests may be missing; the log has them'] : []),
  ];
}

function requestsText(body: RecentRequestsStatus, look: Look): string {
  const { requests, since: keptSince } = body;
  const kept = keptSince === null ? 'no worker has answered' : `kept since ${since(keptSince, look)}`;
  if (requests.length === 0) return [`no request fits; ${kept}`, ...gapsOf(body)].join('\n');
  return [table(columns(look), requests, look), look.paint('dim', kept), ...gapsOf(body)].join('\n');
}

function columns(look: Look): Column<RecentRequest>[] {
  return [
    { head: timeHead(look), cell: ({ at }) => `${clock(Date.parse(at), look.now)}${at.slice(19, 23)}` },
    {
      head: 'STATUS',
      cell: ({ status }) => String(status),
      right: true,
      colour: ({ status }) => colourOf(status),
    },
    { head: 'TIME', cell: ({ durationMs }) => milliseconds(durationMs), right: true },
    { head: 'AGENT', cell: ({ user, session }) => user ?? session ?? NONE },
    { head: 'INSTANCE', cell: ({ instance }) => instance ?? NONE },
    {
      head: 'ROUTED',
      cell: ({ decision, attempts }) => (attempts > 1 ? `${decision}, ${attempts} tries` : decision),
    },
    { head: 'OPERATION', cell: ({ operation, act }) => operation ?? act ?? NONE },
    {
      head: 'ERROR',
      cell: ({ code }) => code ?? NONE,
      colour: ({ code }) => (code === null ? undefined : 'red'),
    },
    { head: 'CLIENT', cell: ({ client }) => client ?? NONE },
    { head: 'REQUEST ID', cell: ({ requestId }) => requestId },
  ];
}

function colourOf(status: number) {
  if (status >= 500) return 'red';
  return status >= 400 ? 'yellow' : undefined;
}

function errorsText({ errors, unnamedOperations, silent }: ErrorsStatus, all: boolean, look: Look): string {
  const shown = errors.filter(({ count, samples }) => all || count > 0 || samples.length > 0);
  const parts =
    shown.length === 0 ? ['no errors since the gateway started'] : shown.map((one) => errorText(one, look));
  return [
    parts.join('\n\n'),
    ...(unnamedOperations.length === 0
      ? []
      : ['', 'operations that named no agent in the last hour', table(UNNAMED, unnamedOperations, look)]),
    ...(silent.length === 0 ? [] : ['', `${silent.join(', ')} did not answer in time`]),
  ].join('\n');
}

const UNNAMED: readonly Column<UnnamedOperation>[] = [
  { head: 'POOL', cell: ({ pool }) => pool },
  { head: 'OPERATION', cell: ({ operation }) => operation },
  { head: 'REQUESTS', cell: ({ requests }) => String(requests), right: true },
];

function errorText({ code, count, owner, message, remedy, runbook, samples }: ErrorLine, look: Look): string {
  return [
    `${look.paint(owner === 'client' ? 'yellow' : 'red', code)}  ${count}  look at: ${owner}`,
    `  ${message}`,
    `  ${remedy}  (deploy/RUNBOOK.md${runbook})`,
    ...samples.map(({ at, requestId, user, instance, client }) =>
      look.paint(
        'dim',
        printable(
          `  ${clock(Date.parse(at), look.now)}  ${requestId}  ${[user, instance, client].map((one) => one ?? NONE).join('  ')}`,
        ),
      ),
    ),
  ].join('\n');
}
