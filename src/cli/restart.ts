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

/** `ici-gateway restart`, `reload` and `stop`: of the gateway on this host, by its pid file or its admin plane. */
export function addHostCommands(program: Command, env: Environment, output: Output): void {
  const add = (act: Act, description: string): Command =>
    program
      .command(act)
      .description(description)
      .option(
        '--pid-file <file>',
        'reach it by a signal to the process of this file; its log says how that went',
      )
      .option(
        '--admin <url>',
        'reach it by its admin plane, and wait for the outcome',
        'http://127.0.0.1:9090',
      )
      .option('--token-file <file>', `file with the token of the admin plane ($${TOKEN_FILE})`)
      .option('--why <reason>', 'the reason, for whoever reads the log', `ici-gateway ${act}`)
      .option('--by <name>', 'who does it ($USER)')
      .action((flags: HostFlags) => run(act, flags, env, output));
  add('restart', 'Replace the processes of a gateway by such of the program that is installed now.')
    .requiredOption('--rolling', 'one process after the other, so that nobody notices; there is no other way')
    .addHelpText(
      'after',
      examples([
        'ici-gateway restart --rolling --token-file admin.token',
        'ici-gateway restart --rolling --pid-file /run/ici-gateway.pid',
      ]),
    );
  add('reload', 'Let a gateway read its configuration anew. Nothing changes where that has a problem.');
  add('stop', 'Stop a gateway softly.');
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
