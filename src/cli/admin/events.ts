import type { Command } from 'commander';
import { EVENT_FIELDS } from '../../core/event-fields.ts';
import type { LoggedEvent } from '../../core/view/agreed-view.ts';
import type { Question } from './client.ts';
import { askAdmin } from './client.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { poolPath, read, readCommand } from './context.ts';
import type { Column, Look } from './present.ts';
import { clock, NONE, show, table, timeHead } from './present.ts';

// The most that a gateway lists in one page.
const PAGE = '1000';
// Of one side of a change, in the table.
const MOST_LETTERS = 60;

interface EventFlags extends ReadFlags {
  readonly limit: string;
  readonly since?: string;
  readonly until?: string;
  readonly by?: string;
  readonly kind?: string;
  readonly instance?: string;
  readonly all?: boolean;
  readonly csv?: boolean;
}

type EventLine = Omit<LoggedEvent, 'at' | 'firstAt'> & { readonly at: string; readonly firstAt?: string };

interface EventPage {
  readonly events: readonly EventLine[];
  /** Missing from an earlier release. */
  readonly next?: string | null;
}

interface SecurityEntry {
  readonly at: string;
  readonly kind: string;
  readonly user: string | null;
  readonly role: string | null;
  readonly source: string | null;
  readonly act?: string | null;
  readonly pool?: string | null;
  readonly instance?: string | null;
  readonly why?: string | null;
  readonly outcome?: string | null;
}

export function addEvents(admin: Command, context: AdminContext): void {
  readCommand(admin, 'events <pool>', 'Show the changes of a pool and who made them, newest first.')
    .option('--limit <n>', 'number of events', '20')
    .option(
      '--since <when>',
      'only later ones: a duration such as 24h, or a time such as 2026-03-01T22:00:00Z',
    )
    .option('--until <when>', 'only earlier ones, in the same form')
    .option('--by <name>', 'only those of this operator or gateway')
    .option('--kind <kind>', 'only those of this kind, such as admin, moved, down')
    .option('--instance <id>', 'only those of this instance')
    .option('--all', 'all that match, however many')
    .option('--csv', 'print CSV with a line of names, for example to archive the log')
    .action(async (pool: string, { limit, all = false, csv = false, ...flags }: EventFlags) => {
      const { since, until, by, kind, instance } = flags;
      const query = { limit: all ? PAGE : limit, since, until, by, kind, instance };
      const events = await pages(context, flags, `${poolPath(pool)}/events`, query, all);
      if (csv) context.output.out(csvOf(events));
      else
        show(context.output, flags, { events }, (_, look) =>
          events.length === 0 ? 'no events' : table(eventColumns(look), events, look),
        );
    });
  readCommand(admin, 'security-log', 'Show log-ins, refusals and acts at this gateway, newest first.')
    .option('--limit <n>', 'number of entries', '20')
    .action(async ({ limit, ...flags }: ReadFlags & { readonly limit: string }) => {
      await read<{ readonly entries: readonly SecurityEntry[] }>(
        context,
        flags,
        { path: '/security-log', query: { limit } },
        ({ entries }, look) =>
          entries.length === 0 ? 'no entries' : table(securityColumns(look), entries, look),
      );
    });
}

async function pages(
  { env }: AdminContext,
  flags: ReadFlags,
  path: string,
  query: Question['query'],
  all: boolean,
): Promise<readonly EventLine[]> {
  const events: EventLine[] = [];
  let cursor: string | undefined;
  do {
    const question: Question = { method: 'GET', path, query: { ...query, cursor } };
    const { body } = await askAdmin<EventPage>(flags, question, env);
    events.push(...body.events);
    cursor = body.next ?? undefined;
  } while (all && cursor !== undefined);
  return events;
}

function csvOf(events: readonly EventLine[]): string {
  const lines = events.map((event) => EVENT_FIELDS.map((field) => csvValue(event[field])).join(','));
  return `${[EVENT_FIELDS.join(','), ...lines].join('\r\n')}\r\n`;
}

/** As RFC 4180 says. A text that a spreadsheet would take for a formula gets an apostrophe. */
function csvValue(value: string | number | undefined): string {
  const text = String(value ?? '');
  const shown = /^[=+@\t\r-]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}

function eventColumns(look: Look): Column<EventLine>[] {
  return [
    { head: timeHead(look), cell: ({ at }) => clock(Date.parse(at), look.now) },
    { head: 'VIEW', cell: ({ epoch }) => String(epoch), right: true },
    { head: 'KIND', cell: ({ kind }) => kind, colour: ({ kind }) => (kind === 'down' ? 'red' : undefined) },
    { head: 'INSTANCE', cell: ({ instance, gateway }) => gateway ?? orNone(instance) },
    { head: 'CHANGE', cell: changeText },
    { head: 'FROM', cell: ({ source }) => orNone(source) },
    { head: 'BY', cell: ({ by }) => orNone(by) },
    { head: 'WHY', cell: ({ why }) => orNone(why) },
  ];
}

function changeText({ from, to, times = 1 }: EventLine): string {
  const change = from === to ? shortened(to) : `${shortened(from)} → ${shortened(to)}`;
  return times === 1 ? change : `${change} (${times} times)`;
}

function securityColumns(look: Look): Column<SecurityEntry>[] {
  return [
    { head: timeHead(look), cell: ({ at }) => clock(Date.parse(at), look.now) },
    {
      head: 'KIND',
      cell: ({ kind }) => kind,
      colour: ({ kind }) => (/refused|forbidden/.test(kind) ? 'red' : undefined),
    },
    { head: 'USER', cell: ({ user }) => orNone(user) },
    { head: 'ROLE', cell: ({ role }) => orNone(role) },
    { head: 'FROM', cell: ({ source }) => orNone(source) },
    {
      head: 'ACT',
      cell: ({ act, pool, instance }) => orNone([act, pool, instance].filter(Boolean).join(' ')),
    },
    { head: 'OUTCOME', cell: ({ outcome }) => orNone(outcome) },
    { head: 'WHY', cell: ({ why }) => orNone(why) },
  ];
}

/** A changed option may be a long list; `--json` and `--csv` show all of it. */
function shortened(text: string | null | undefined): string {
  const shown = orNone(text);
  return shown.length <= MOST_LETTERS ? shown : `${shown.slice(0, MOST_LETTERS - 1)}…`;
}

function orNone(text: string | null | undefined): string {
  return text === null || text === undefined || text === '' ? NONE : text;
}
