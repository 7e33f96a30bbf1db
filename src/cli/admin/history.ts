import type { Command } from 'commander';
import { parseDuration } from '../../config/units.ts';
import type { StepName } from '../../core/history/history-table.ts';
import type { HistoryPart, Values } from '../../core/history/pool-history.ts';
import type { EpochLine } from '../../core/view/epoch-line.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { poolPath, read, readCommand } from './context.ts';
import type { Column, Look } from './present.ts';
import { clock, NONE, table, timeHead } from './present.ts';

type HistoryAnswer = Omit<HistoryPart, 'from'> & { readonly from: string; readonly stepSeconds: number };

interface EpochAnswer {
  readonly epochs: readonly (Omit<EpochLine, 'at' | 'agents' | 'seconds'> & {
    readonly at: string;
    readonly agents: number | null;
    readonly seconds: number | null;
  })[];
  readonly more: boolean;
}

interface HistoryFlags extends ReadFlags {
  readonly last: string;
  readonly step?: StepName;
}

// More lines than a terminal has would hide the newest.
const LONGEST_BY_SECOND_MS = 120_000;
const BAR = 12;

export function addHistory(admin: Command, context: AdminContext): void {
  readCommand(
    admin,
    'history <pool>',
    'Show what this gateway saw of a pool lately: requests, faults, latencies, agents and errors, one line a step.',
  )
    .option('--last <duration>', 'how far back, at most 1h by second and 24h by minute', '15m')
    .option('--step <step>', 'second or minute (default: second for at most 2m)')
    .action(async (pool: string, { last, step, ...flags }: HistoryFlags) => {
      const isShort = (parseDuration(last) ?? 0) <= LONGEST_BY_SECOND_MS;
      const query = { from: last, step: step ?? (isShort ? 'second' : 'minute') };
      await read<HistoryAnswer>(context, flags, { path: `${poolPath(pool)}/history`, query }, historyText);
    });
  readCommand(
    admin,
    'epochs <pool>',
    "Show each change of a pool's view, newest first: by which rule, what the gateways had reported, how many it moved.",
  )
    .option(
      '--since <when>',
      'only later ones: a duration such as 24h, or a time such as 2026-03-01T22:00:00Z',
    )
    .option('--limit <n>', 'number of changes', '20')
    .action(async (pool: string, { since, limit, ...flags }: EpochFlags) => {
      const query = { since, limit };
      await read<EpochAnswer>(context, flags, { path: `${poolPath(pool)}/epochs`, query }, epochsText);
    });
}

interface EpochFlags extends ReadFlags {
  readonly since?: string;
  readonly limit: string;
}

/** The index of a step, and how many steps from there on are not known. */
interface Line {
  readonly step: number;
  readonly gap: number;
}

function historyText(history: HistoryAnswer, look: Look): string {
  const lines = linesOf(history.knownSeconds);
  if (lines.length === 0) return 'nothing is known of this time yet';
  const rates = history.knownSeconds.map((known, i) => total(Object.values(history.answers), i) / known);
  const most = Math.max(...rates.filter(Number.isFinite));
  const from = Date.parse(history.from);
  const known = ({ gap }: Line, text: string): string => (gap > 0 ? '' : text);
  const number = (name: string, values: Values): Column<Line> => ({
    head: name,
    cell: (line) => known(line, shown(values[line.step])),
    right: true,
  });
  const columns: Column<Line>[] = [
    { head: timeHead(look), cell: ({ step }) => clock(from + step * history.stepSeconds * 1_000, look.now) },
    {
      head: 'PER SECOND',
      cell: (line) => known(line, digits(rates[line.step] ?? 0)),
      right: true,
    },
    {
      head: '',
      cell: ({ step, gap }) =>
        gap > 0 ? `not known${gap > 1 ? ` (${gap} lines)` : ''}` : barOf((rates[step] ?? 0) / most),
    },
    {
      ...number('5XX', history.answers['5xx'] ?? []),
      colour: ({ step }) => (history.answers['5xx']?.[step] ? 'red' : undefined),
    },
    ...Object.entries(history.latency).map(([name, values]) => number(`${name.toUpperCase()} MS`, values)),
    number('IN FLIGHT', history.inFlight),
    number('WAITING', history.parked),
    {
      head: 'AGENTS',
      cell: (line) => known(line, agentsAt(history, line.step)),
      right: true,
    },
    { head: 'ERRORS', cell: (line) => known(line, errorsAt(history, line.step)) },
  ];
  return table(columns, lines, look);
}

/** Without what comes before the first known step; steps that are not known share a line. */
function linesOf(known: readonly number[]): Line[] {
  const lines: Line[] = [];
  const first = known.findIndex((seconds) => seconds > 0);
  if (first < 0) return lines;
  for (let step = first; step < known.length; step += 1) {
    const last = lines.at(-1);
    if (known[step] !== 0) lines.push({ step, gap: 0 });
    else if (last !== undefined && last.gap > 0) lines[lines.length - 1] = { ...last, gap: last.gap + 1 };
    else lines.push({ step, gap: 1 });
  }
  return lines;
}

function total(columns: readonly Values[], step: number): number {
  return columns.reduce((sum, values) => sum + (values[step] ?? 0), 0);
}

function agentsAt({ instances }: HistoryAnswer, step: number): string {
  const all = Object.values(instances).flatMap(({ agents }) => agents[step] ?? []);
  return all.length === 0 ? NONE : String(all.reduce((sum, one) => sum + one, 0));
}

function errorsAt({ errors }: HistoryAnswer, step: number): string {
  const found = Object.entries(errors).flatMap(([code, values]) =>
    values[step] ? [`${code} ${values[step]}`] : [],
  );
  return found.length === 0 ? NONE : found.join(', ');
}

function shown(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : digits(value);
}

function digits(value: number): string {
  return Number.isInteger(value) || value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}

function barOf(share: number): string {
  return '█'.repeat(Math.round((Number.isFinite(share) ? share : 0) * BAR));
}

type ShownEpoch = EpochAnswer['epochs'][number];

function epochsText({ epochs, more }: EpochAnswer, look: Look): string {
  if (epochs.length === 0) return 'no changes';
  const columns: Column<ShownEpoch>[] = [
    { head: timeHead(look), cell: ({ at }) => clock(Date.parse(at), look.now) },
    { head: 'VIEW', cell: ({ epoch }) => String(epoch), right: true },
    {
      head: 'CAUSE',
      cell: ({ cause }) => cause,
      colour: ({ cause }) => (cause === 'probes-failed' || cause === 'failover' ? 'red' : undefined),
    },
    { head: 'CHANGES', cell: ({ changes }) => changes.map((one) => changeText(one, look)).join('; ') },
    {
      head: 'TOOK',
      cell: ({ seconds }) => (seconds === null ? NONE : `${seconds.toFixed(1)}s`),
      right: true,
    },
    { head: 'AGENTS', cell: ({ agents }) => (agents === null ? NONE : String(agents)), right: true },
    { head: 'REPORTS', cell: reportsText },
    { head: 'BY', cell: ({ changes }) => changes[0]?.by ?? NONE },
    { head: 'WHY', cell: ({ changes }) => changes[0]?.why || NONE },
  ];
  return [
    table(columns, epochs, look),
    ...(more ? ['there are earlier ones: ask with a greater --limit'] : []),
  ].join('\n');
}

function changeText({ kind, instance, from, to }: ShownEpoch['changes'][number], look: Look): string {
  if (kind === 'rebalance') return rebalanceText(from, to, look);
  const what = kind === 'admin' ? to : kind;
  return instance === '' ? what : `${instance} ${what}`;
}

/** @param from the end of the rebalancing before, and `to` that after: `never` if there is none */
function rebalanceText(from: string, to: string, { now }: Look): string {
  const until = (moment: string): string => `until ${clock(Date.parse(moment), now)}`;
  const isNone = (moment: string): boolean => Number.isNaN(Date.parse(moment));
  const before = isNone(from) ? '' : ` (was ${until(from)})`;
  return isNone(to) ? `rebalance ended${before}` : `rebalance ${until(to)}${before}`;
}

/** Such as `gw1 down, gw2 up`. */
function reportsText({ changes }: ShownEpoch): string {
  const { reports = {} } = changes.find(({ basis }) => basis !== undefined)?.basis ?? {};
  const all = Object.entries(reports).map(([gateway, verdict]) => `${gateway} ${verdict}`);
  return all.length === 0 ? NONE : all.join(', ');
}
