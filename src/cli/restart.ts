import type { Command } from 'commander';
import type { Environment } from '../config/computed.ts';
import { isGateway, readPidFile } from '../process/pid-file.ts';
import type { AdminFlags } from './admin.ts';
import { askAdmin, TOKEN_FILE } from './admin.ts';
import type { Output } from './output.ts';
import { examples } from './output.ts';

interface HostFlags extends AdminFlags {
  readonly pidFile?: string;
  readonly rolling?: boolean;
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
export function addHostCommands(program: Command, env: Environment, output: Output): void {
  const add = (act: Act, description: string): Command =>
    program
      .command(act)
      .description(description)
      .option('--pid-file <file>', 'send a signal to the process in this file; see its log for the result')
      .option('--admin <url>', 'use this admin plane, and wait for the result', 'http://127.0.0.1:9090')
      .option('--token-file <file>', `file with the token of the admin plane ($${TOKEN_FILE})`)
      .option('--why <reason>', 'reason for the log', `ici-gateway ${act}`)
      .option('--by <name>', 'your name for the log ($USER)')
      .action((flags: HostFlags) => run(act, flags, env, output));
  add('restart', "Restart the gateway's processes one at a time with the installed version.")
    .requiredOption(
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
  add('reload', 'Reload the configuration. If it is invalid, nothing changes.');
  add('stop', 'Stop the gateway. It answers the requests in progress first.');
}

async function run(act: Act, flags: HostFlags, env: Environment, output: Output): Promise<void> {
  const { pidFile, why } = flags;
  if (pidFile === undefined) {
    const by = flags.by ?? env['USER'];
    const body = { why, ...(by ? { by } : {}) };
    await askAdmin(flags, { method: 'POST', path: `/${act}`, body }, env, output);
    return;
  }
  const pid = readPidFile(pidFile);
  if (pid === undefined || !isGateway(pid)) {
    throw new Error(
      `no running gateway found for pid file ${pidFile}; give the --pid-file that it was started with`,
    );
  }
  process.kill(pid, SIGNALS[act]);
  output.err(`sent ${SIGNALS[act]} to process ${pid}; its log shows the outcome\n`);
}
