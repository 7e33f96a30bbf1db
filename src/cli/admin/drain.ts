import { span } from '../../core/span.ts';
import { AdminSilent, askAdmin, pause } from './client.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { poolPath } from './context.ts';
import type { Column, Look } from './present.ts';
import { clock, counted, lastRequest, lookOf, printable, since, table } from './present.ts';

/** A drain in progress. */
export interface DrainAnswer {
  readonly instance: string;
  readonly admin: 'enabled' | 'draining' | 'disabled';
  readonly deadline: string | null;
  readonly remaining: number;
  /** `null` with very many agents. Earlier releases do not tell. */
  readonly loggedOff?: number | null;
  readonly lastEnd?: string | null;
  readonly agents: readonly DrainedAgent[];
  readonly lastActiveWithinSeconds: number;
  readonly next: string | null;
}

interface DrainedAgent {
  readonly name: string;
  readonly lastActive: string;
  /** Earlier releases do not tell. */
  readonly loggedOff?: boolean;
  readonly expiresInSeconds: number;
}

const NO_LOG_OFF =
  'none of these has logged off: the drain waits until each one does (identity.logoff) or has been idle to the end (ENDS IN)';
const EVERY_MS = 1_000;
// A controller that is replaced answers again within seconds.
const SILENCE_MS = 60_000;
const MOST_SHOWN = 10;
const BAR_WIDTH = 30;
/** By shell convention: 128 plus the number of SIGINT. A script must not continue as if the drain were over. */
const EXIT_INTERRUPTED = 130;
const EXIT_FAILED = 1;

export function drainPath(pool: string, instance: string): string {
  return `${poolPath(pool)}/drain/${encodeURIComponent(instance)}`;
}

/** The agents that are left. */
export function drainText(drain: DrainAnswer, look: Look): string {
  return [...headLines(drain, look), ...agentLines(drain, drain.agents.length, look)].join('\n');
}

/**
 * Shows the progress of a drain until it is over: redrawn in place at a terminal, else one line of JSON for each change.
 * Returns the exit code.
 *
 * @param patienceMs how long the drain may take to begin, because a change takes effect when all gateways know it
 */
export async function watchDrain(
  context: AdminContext,
  flags: ReadFlags,
  pool: string,
  instance: string,
  patienceMs = 0,
): Promise<number> {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.once('SIGINT', interrupt);
  const screen = await screenOf(context, flags);
  try {
    return await follow(context, flags, {
      pool,
      instance,
      patienceMs,
      signal: interruption.signal,
      screen,
    });
  } finally {
    process.off('SIGINT', interrupt);
    screen.close();
  }
}

/** Where the progress appears. */
interface Screen {
  progress(drain: DrainAnswer, before: number): void;
  trouble(text: string): void;
  close(): void;
}

interface Watch {
  readonly pool: string;
  readonly instance: string;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  readonly screen: Screen;
}

async function follow(context: AdminContext, flags: ReadFlags, watch: Watch): Promise<number> {
  const { pool, instance, patienceMs, signal, screen } = watch;
  const { output, env } = context;
  const question = {
    method: 'GET',
    path: drainPath(pool, instance),
    query: { limit: MOST_SHOWN },
    signal,
  } as const;
  const startedAt = performance.now();
  let answeredAt = startedAt;
  let first: DrainAnswer | undefined;
  /** The last answer during the drain. */
  let last: DrainAnswer | undefined;
  while (!signal.aborted) {
    try {
      const { body } = await askAdmin<DrainAnswer>(flags, question, env);
      answeredAt = performance.now();
      first ??= body;
      screen.progress(body, first.remaining);
      const begins = body.admin === 'enabled' && last === undefined && answeredAt - startedAt < patienceMs;
      if (body.admin === 'draining') last = body;
      else if (!begins) {
        screen.close();
        return concluded(output, body, last);
      }
    } catch (error) {
      if (signal.aborted) break;
      const silentMs = performance.now() - answeredAt;
      if (!(error instanceof AdminSilent)) throw error;
      if (silentMs > SILENCE_MS)
        throw new Error(`${error.message} for ${span(silentMs)}; the drain goes on`, { cause: error });
      screen.trouble(error.message);
    }
    await pause(EVERY_MS, signal);
  }
  screen.close();
  output.err(
    `no longer watching; the drain of ${instance} goes on. To watch it again: ici-gateway admin draining ${pool} ${instance} --watch\n`,
  );
  return EXIT_INTERRUPTED;
}

/** @param last the last answer during the drain */
function concluded(
  output: AdminContext['output'],
  { instance, admin }: DrainAnswer,
  last: DrainAnswer | undefined,
): number {
  if (admin === 'enabled') {
    output.err(
      last === undefined
        ? `${instance} is not being drained\n`
        : `${instance} takes agents again, so its drain has ended: see \`ici-gateway admin events\`\n`,
    );
    return EXIT_FAILED;
  }
  const left = last === undefined || !isOver(last.deadline) ? 0 : last.remaining;
  const rest =
    left === 0 ? '' : `; the deadline came before ${counted(left, 'agent')} had left, who must log on again`;
  output.err(`${instance} is drained and disabled${rest}\n`);
  return 0;
}

/** Allows for the time between two looks. */
function isOver(deadline: string | null): boolean {
  return deadline !== null && Date.now() + 2 * EVERY_MS >= Date.parse(deadline);
}

async function screenOf({ output, env }: AdminContext, { json }: ReadFlags): Promise<Screen> {
  const { terminal } = output;
  if (json === true || terminal === undefined) return lines(output);
  const { LiveScreen } = await import('../../simulator/live-screen.ts');
  const live = new LiveScreen({ isTTY: true, write: output.out }, env);
  let frame: readonly string[] = [];
  return {
    progress: (drain, before) => {
      const look = lookOf(terminal);
      frame = [
        ...headLines(drain, look),
        bar(before - drain.remaining, before, look),
        ...agentLines(drain, MOST_SHOWN, look),
        look.paint('dim', 'Ctrl-C ends the watching, not the drain'),
      ];
      live.frame(frame);
    },
    trouble: (text) => live.frame([...frame, printable(text)]),
    close: () => live.close(),
  };
}

function lines(output: AdminContext['output']): Screen {
  let last = '';
  return {
    progress: ({ instance, admin, deadline, remaining }) => {
      const line = JSON.stringify({ instance, admin, deadline, remaining });
      if (line === last) return;
      last = line;
      output.out(`${line}\n`);
    },
    trouble: () => {},
    close: () => {},
  };
}

function headOf({ instance, admin, deadline, remaining }: DrainAnswer, look: Look): string {
  const end = deadline === null ? 'no deadline' : `deadline ${since(deadline, look)}`;
  const state = look.paint(admin === 'draining' ? 'yellow' : undefined, admin);
  return `${look.paint('bold', printable(instance))}  ${state}  ${counted(remaining, 'agent')} left  ${end}`;
}

function headLines(drain: DrainAnswer, look: Look): string[] {
  const why = whyText(drain, look);
  return [headOf(drain, look), ...(why === undefined ? [] : [look.paint('dim', why)])];
}

/** Why the drain lasts: who has not logged off, and when the last binding ends. */
export function whyText({ remaining, loggedOff, lastEnd }: DrainAnswer, look: Look): string | undefined {
  if (remaining === 0 || loggedOff == null || lastEnd == null) return undefined;
  return `logged off: ${loggedOff} of ${counted(remaining, 'agent')}; if no agent sends a request, the last binding ends ${since(lastEnd, look)}`;
}

function bar(gone: number, all: number, look: Look): string {
  const full = all === 0 ? BAR_WIDTH : Math.round((Math.max(0, gone) / all) * BAR_WIDTH);
  return `${look.paint('green', '█'.repeat(full))}${'░'.repeat(BAR_WIDTH - full)}  ${gone} of ${all} gone at ${clock(look.now, look.now)}`;
}

function agentLines(
  { agents, remaining, lastActiveWithinSeconds: within }: DrainAnswer,
  most: number,
  look: Look,
): string[] {
  if (agents.length === 0) return [];
  const shown = agents.slice(0, most);
  // Earlier releases do not tell.
  const noneLoggedOff = agents.every(({ loggedOff }) => loggedOff === false);
  const more = remaining - shown.length;
  return [
    table(COLUMNS(within, look), shown, look),
    ...(more > 0 ? [look.paint('dim', `and ${counted(more, 'other')}`)] : []),
    ...(noneLoggedOff ? [look.paint('dim', NO_LOG_OFF)] : []),
  ].flatMap((text) => text.split('\n'));
}

const COLUMNS = (within: number, look: Look): Column<DrainedAgent>[] => [
  { head: 'AGENT', cell: ({ name }) => name },
  { head: 'LAST REQUEST', cell: ({ lastActive }) => lastRequest(lastActive, within, look) },
  {
    head: 'ENDS IN',
    cell: ({ expiresInSeconds, loggedOff }) =>
      `${span(expiresInSeconds * 1_000)}${loggedOff === true ? ', logged off' : ''}`,
    right: true,
  },
];
