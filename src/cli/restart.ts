import type { Command } from 'commander';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { ReloadPreviewStatus } from '../core/reload-preview-status.ts';
import { isGateway, readPidFile } from '../process/pid-file.ts';
import { askAdmin } from './admin/client.ts';
import type { AdminContext, ChangeFlags, ReadFlags } from './admin/context.ts';
import { change, EXIT_NO, read, send, withConnection } from './admin/context.ts';
import { stateText } from './admin/gateway.ts';
import { counted, printable, show } from './admin/present.ts';
import { examples } from './output.ts';

interface HostFlags extends ChangeFlags {
  readonly pidFile?: string;
  readonly rolling?: boolean;
  readonly dryRun?: boolean;
}

/** The request of a command, sent to the admin API or as a signal to the process. */
type Act = 'restart' | 'reload' | 'stop';

// A reload also replaces every process, with the current configuration file and the installed program.
const SIGNALS: Readonly<Record<Act, NodeJS.Signals>> = {
  restart: 'SIGHUP',
  reload: 'SIGHUP',
  stop: 'SIGTERM',
};

/** `ici-gateway restart`, `reload` and `stop`, for the gateway on this host, by its pid file or its admin API. */
export function addHostCommands(program: Command, context: AdminContext): void {
  const add = (act: Act, description: string): Command =>
    withConnection(
      program
        .command(act)
        .description(description)
        .option('--pid-file <file>', 'send a signal to the process in this file; see its log for the result'),
    )
      .option('--json', 'print JSON, at a terminal too')
      .option('--why <reason>', 'reason for the log', `ici-gateway ${act}`)
      .option('--by <name>', 'your name for the log ($USER)')
      .action((flags: HostFlags) => run(act, flags, context));
  add('restart', "Restart the gateway's processes one at a time with the installed version.")
    .option(
      '--rolling',
      'restart one process after another without interruption; required, because it is the only kind of restart',
    )
    .addHelpText(
      'after',
      examples([
        'ici-gateway restart --rolling --token-file admin.token',
        'ici-gateway restart --rolling --pid-file /run/ici-gateway.pid',
      ]),
    );
  add('reload', 'Reload the configuration. If it is invalid, nothing changes.')
    .option(
      '--dry-run',
      'only say what a reload would change, and how many agents would move; the exit code is 3 if it would be refused',
    )
    .addHelpText(
      'after',
      examples([
        'ici-gateway reload --dry-run --token-file admin.token',
        'ici-gateway reload --token-file admin.token',
      ]),
    );
  add('stop', 'Stop the gateway. It answers the requests in progress first.');
}

async function run(
  act: Act,
  { pidFile, dryRun, rolling, ...flags }: HostFlags,
  context: AdminContext,
): Promise<void> {
  if (act === 'restart' && rolling !== true)
    throw new Error(
      'give --rolling, the only kind of restart: it replaces one process after another and refuses changes that a reload refuses. For those, stop the gateway and start it again',
    );
  if (dryRun === true) return preview(context, flags);
  if (pidFile === undefined) return ask(act, context, flags);
  const pid = readPidFile(pidFile);
  if (pid === undefined || !isGateway(pid)) {
    throw new Error(
      `no running gateway found for pid file ${pidFile}; give the --pid-file that it was started with`,
    );
  }
  process.kill(pid, SIGNALS[act]);
  context.output.err(`sent ${SIGNALS[act]} to process ${pid}; its log shows the outcome\n`);
}

/** Asks the admin plane, and shows what has changed. */
async function ask(act: Act, context: AdminContext, flags: ChangeFlags): Promise<void> {
  if (act === 'stop') return change(context, flags, '/stop', {}, stateText);
  // Asked first, because afterwards the gateway has nothing to compare with.
  const before = await (act === 'reload' ? plannedChanges(context, flags) : runningVersion(context, flags));
  const { body } = await send<{ readonly state: string }>(context, flags, `/${act}`);
  show(context.output, flags, { ...body, ...before }, outcomeText);
}

interface Outcome {
  readonly state: string;
  readonly changes?: readonly string[];
  readonly versionBefore?: string;
}

function outcomeText(outcome: Outcome): string {
  const { changes, versionBefore } = outcome;
  const texts = [
    ...(changes ?? []),
    ...(changes?.length === 0 ? ['no option has changed; files that options name were read again'] : []),
    ...(versionBefore === undefined
      ? []
      : [
          `all workers run the version that is installed on the gateway's host; before it was ${versionBefore}`,
        ]),
    stateText(outcome),
  ];
  return texts.map(printable).join('\n');
}

async function plannedChanges({ env }: AdminContext, flags: ReadFlags): Promise<Pick<Outcome, 'changes'>> {
  return ifAnswered(async () => {
    const question = { method: 'GET', path: '/reload/preview' } as const;
    const { changes } = (await askAdmin<ReloadPreviewStatus>(flags, question, env)).body;
    return { changes };
  });
}

async function runningVersion(
  { env }: AdminContext,
  flags: ReadFlags,
): Promise<Pick<Outcome, 'versionBefore'>> {
  return ifAnswered(async () => {
    const question = { method: 'GET', path: '/status' } as const;
    const { version } = (await askAdmin<GatewayStatus>(flags, question, env)).body;
    return { versionBefore: version };
  });
}

/** What keeps a gateway from answering, such as an earlier release, is no reason not to ask it for the act. */
async function ifAnswered<Fields extends object>(look: () => Promise<Fields>): Promise<Fields | object> {
  try {
    return await look();
  } catch {
    return {};
  }
}

/** Says what a reload would do. */
async function preview(context: AdminContext, flags: ReadFlags): Promise<void> {
  const path = '/reload/preview';
  const { problems, refused } = await read<ReloadPreviewStatus>(context, flags, { path }, previewText);
  if (problems.length + refused.length > 0) context.exitWith(EXIT_NO);
}

function previewText({ text, problems, changes, refused, agents, moves }: ReloadPreviewStatus): string {
  return [
    ...problems,
    ...changes,
    ...refused,
    text,
    ...moves.map(({ pool, instance, agents: moving, movesAll, why }) => {
      const who = movesAll ? 'all agents' : counted(moving, 'bound agent');
      return `pool ${pool}: ${who} of ${instance} would move, because ${why}`;
    }),
    `${counted(agents, 'bound agent')} would move`,
  ]
    .map(printable)
    .join('\n');
}
