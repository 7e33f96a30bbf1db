import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Environment } from '../config/computed.ts';
import { ConfigInvalid, formatProblem } from '../config/problem.ts';
import { parseDuration, parseSize } from '../config/units.ts';
import { TOKEN_FILE_VARIABLE } from '../config/variables.ts';
import type { Role } from '../core/role.ts';
import { ROLES } from '../core/role.ts';
import { builtFrom, VERSION } from '../package.ts';
import { PROTOCOL } from '../process/messages.ts';
import type { DialectName } from '../simulator/dialects.ts';
import { DIALECT_NAMES } from '../simulator/dialects.ts';
import type { AdminContext } from './admin/context.ts';
import type { CheckFlags } from './check.ts';
import type { Output } from './output.ts';
import { examples } from './output.ts';
import type { StartFlags } from './start-options.ts';
import { addStartFlags, repeatable } from './start-options.ts';

const EXIT_FAILED = 1;
/** The command line is wrong. */
const EXIT_USAGE = 2;

interface ConnectorFlags {
  readonly name: string;
  readonly port: number;
  readonly host: string;
  readonly latency: number;
  readonly maxBody: number;
}

interface AgentsFlags {
  readonly url?: readonly string[];
  readonly agents: number;
  readonly for: number;
  readonly rate: number;
  readonly withoutHeaders?: boolean;
  readonly dialect: DialectName;
  readonly json?: boolean;
  readonly allowRemote?: boolean;
}

interface DemoFlags {
  readonly once?: boolean;
  readonly agents: number;
  readonly for?: number;
}

/**
 * Runs one command and returns the exit code: 0 for success, 1 if the command failed, 2 if the command line was wrong.
 */
export async function runProgram(argv: readonly string[], env: Environment, output: Output): Promise<number> {
  let exitCode = 0;
  const exitWith = (code: number): void => {
    exitCode = code;
  };
  const program = await buildProgram(argv[2], { env, output, exitWith });
  try {
    await program.parseAsync([...argv]);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Most likely `check gateway.yaml`, but only `admin` takes arguments.
      if (error.code === 'commander.excessArguments' && argv[2] !== 'admin')
        output.err('To name a configuration file, use --config FILE.\n');
      return error.exitCode === 0 ? 0 : EXIT_USAGE;
    }
    output.err(explain(error, env));
    return EXIT_FAILED;
  }
}

function explain(error: unknown, env: Environment): string {
  if (error instanceof ConfigInvalid) {
    const { problems } = error;
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    // Without any pool, tell the user the minimum that a start needs.
    const bare = problems.some(({ path, source }) => path === 'pools' && source === undefined);
    const remedy = bare ? '\ngive --config FILE, or --instance ID=URL for each instance' : '';
    return `${problems.map(formatProblem).join('\n')}${remedy}\nconfiguration is invalid, ${count}\n`;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  if (env['DEBUG']) return `${stack ?? message}\n`;
  return isUnexpected(error)
    ? `ici-gateway: ${message} (set DEBUG=1 to see where)\n`
    : `ici-gateway: ${message}\n`;
}

/** A fault of the program; errors for operators say by themselves what to do. */
function isUnexpected(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind)
  );
}

/** What a report of a fault, and the choice between a rolling restart and a stop, need to know. */
function versionText(): string {
  return [
    VERSION,
    `commit ${builtFrom() ?? 'unknown'}`,
    `Node ${process.version} on ${process.platform}-${process.arch}`,
    `protocol ${PROTOCOL} between its processes; a rolling restart needs the same`,
  ].join('\n');
}

async function buildProgram(command: string | undefined, context: AdminContext): Promise<Command> {
  const { env, output, exitWith } = context;
  const program = new Command('ici-gateway')
    .description('Reverse proxy between SAP CRM and the instances of an ICI connector.')
    .version(versionText(), '-V, --version', 'print version, commit, Node and protocol')
    .showHelpAfterError(
      'Run "ici-gateway --help", or "ici-gateway <command> --help", for commands and options.',
    )
    .configureOutput({ writeOut: output.out, writeErr: output.err })
    .exitOverride();
  program.addHelpText(
    'after',
    examples([
      'ici-gateway start --config /etc/ici-gateway/gateway.yaml',
      'ici-gateway start --instance a=http://10.0.0.1:8080 --instance b=http://10.0.0.2:8080',
      'ici-gateway check --config gateway.yaml',
      'ici-gateway demo',
    ]),
  );
  addStart(program, env, output);
  addCheck(program, context);
  addSimulate(program, exitWith);
  addDemo(program, exitWith);
  // `start` stays for months: it keeps no memory for commands that ask a running gateway.
  if (command !== 'start') {
    const [{ addAdmin }, { addHostCommands }] = await Promise.all([
      import('./admin/commands.ts'),
      import('./restart.ts'),
    ]);
    addAdmin(program, context);
    addHostCommands(program, context);
  }
  addHashPassword(program, output);
  return program;
}

// Each command loads only the code that it needs: `check` loads neither the proxy nor the simulators.

function addStart(program: Command, env: Environment, output: Output): void {
  addStartFlags(program.command('start').description('Start the gateway.'))
    .option('--pid-file <file>', 'file for the id of the process that takes signals')
    .addHelpText(
      'after',
      `
Flags override environment variables (ICI_GATEWAY_TIMEOUTS__PARK=3s,
ICI_GATEWAY_POOLS__0__MODE=sticky), and these override the file.
${examples([
  'ici-gateway start --config gateway.yaml --log-level debug',
  'ici-gateway start --instance a=http://10.0.0.1:8080 --instance b=http://10.0.0.2:8080 --health-path /health',
  'ici-gateway start --mode sticky --redis redis://10.0.0.9 --instance a=http://10.0.0.1:8080 --instance b=http://10.0.0.2:8080',
])}`,
    )
    .action(async ({ pidFile, ...flags }: StartFlags & { readonly pidFile?: string }) => {
      const { configReader } = await import('./config-reader.ts');
      const reader = configReader(flags, env);
      const [read, { runStart }] = await Promise.all([reader.read(output.err), import('./start.ts')]);
      await runStart({ read, reader, pidFile });
    });
}

function addCheck(program: Command, context: AdminContext): void {
  const command = program.command('check').description('Check a configuration without starting anything.');
  addStartFlags(command)
    .option('--print', 'print the effective configuration as YAML, secrets masked')
    .option('--schema', 'print the JSON Schema of the configuration file, for editors')
    .option(
      '--against <url>',
      'admin plane of a running gateway: print what a reload would change there, and how many bound agents would move',
    )
    .option('--token-file <file>', `file with a token for --against ($${TOKEN_FILE_VARIABLE})`)
    .option('--json', 'print the comparison of --against as JSON')
    .addHelpText(
      'after',
      `
Exit code: 0 if the configuration is valid, 1 if it is invalid; standard error then lists every problem. With --against:
3 if a reload would be refused.
With --against it is 0 even if agents would move, and 1 if the gateway does not answer. Run the comparison
on the gateway's host, because some defaults, such as the number of workers, depend on the host.
${examples([
  'ici-gateway check --config gateway.yaml',
  'ici-gateway check --config gateway.yaml --print',
  'ici-gateway check --config new.yaml --against http://127.0.0.1:9090',
  'ici-gateway check --schema > gateway.schema.json',
])}`,
    )
    .action(async (flags: CheckFlags) => {
      const { runCheck } = await import('./check.ts');
      await runCheck(flags, context);
    });
}

function addSimulate(program: Command, exitWith: (code: number) => void): void {
  const simulate = program
    .command('simulate')
    .description('Simulate a connector, or SAP with its agents, for tests and sizing.');
  simulate
    .command('connector')
    .description('Run a simulated connector until it is stopped.')
    .option('--name <name>', 'name in its answers', 'connector')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 for any free port', integer(0, 65_535), 0)
    .option('--latency <ms>', 'delay before each answer, in milliseconds', integer(0, 600_000), 0)
    .option('--max-body <size>', 'largest accepted request body', size, 100 * 1024 * 1024)
    .addHelpText(
      'after',
      examples([
        'ici-gateway simulate connector --name a --port 9001',
        'ici-gateway simulate connector --latency 20',
      ]),
    )
    .action(async ({ latency, maxBody, ...flags }: ConnectorFlags) => {
      const { runSimulateConnector } = await import('./simulate.ts');
      exitWith((await runSimulateConnector({ ...flags, latencyMs: latency, maxBodyBytes: maxBody })) ?? 0);
    });
  simulate
    .command('agents')
    .description('Run simulated agents against one or more gateways and report the results.')
    .option(
      '--url <url>',
      'URL of a gateway; repeat it for each gateway, every agent uses all of them (http://127.0.0.1:8080)',
      repeatable,
    )
    .option('--agents <n>', 'number of agents', integer(1, 5_000), 50)
    .option('--for <duration>', 'duration of the run, such as 30s or 5m', duration, 30_000)
    .option('--rate <n>', 'requests per second and agent', positive, 0.5)
    .option('--without-headers', 'name the agent only in the SOAP body, as without SAP Note 1640673')
    .addOption(
      new Option(
        '--dialect <name>',
        'element of the SOAP body that names the agent; "agent-login" is one that gateways do not know',
      )
        .choices(DIALECT_NAMES)
        .default('user'),
    )
    .option('--json', 'print only the summary, as JSON')
    .option('--allow-remote', 'allow other hosts than this one, which puts load on them')
    .addHelpText(
      'after',
      `
Exit code: 1 if two instances answered one agent, if a request arrived with other bytes than were sent,
or if no request was answered; otherwise 0.
${examples([
  'ici-gateway simulate agents --url http://127.0.0.1:8080 --agents 200 --for 1m',
  'ici-gateway simulate agents --allow-remote --url http://gw1:8080 --url http://gw2:8080',
])}`,
    )
    .action(async (flags: AgentsFlags) => {
      const { runSimulateAgents } = await import('./simulate.ts');
      const code = await runSimulateAgents({
        urls: [...(flags.url ?? ['http://127.0.0.1:8080'])],
        agents: flags.agents,
        forMs: flags.for,
        ratePerAgent: flags.rate,
        withHeaders: flags.withoutHeaders !== true,
        dialect: flags.dialect,
        json: flags.json === true,
        allowRemote: flags.allowRemote === true,
      });
      exitWith(code ?? 0);
    });
}

function addDemo(program: Command, exitWith: (code: number) => void): void {
  program
    .command('demo')
    .description(
      'Run a gateway with three simulated connectors and their agents, and kill connectors in turn.',
    )
    .option('--once', 'run one short round; the exit code is 0 only if every promise was kept')
    .option('--agents <n>', 'number of agents', integer(1, 1000), 30)
    .option('--for <duration>', 'stop after this time, such as 2m (1m)', duration)
    .addHelpText(
      'after',
      examples(['ici-gateway demo', 'ici-gateway demo --once', 'ici-gateway demo --agents 100 --for 2m']),
    )
    .action(async ({ once, agents, for: forMs }: DemoFlags) => {
      const { runDemo } = await import('./demo.ts');
      exitWith(await runDemo({ once: once === true, agents, ...(forMs === undefined ? {} : { forMs }) }));
    });
}

function integer(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (/^[0-9]+(\.[0-9]+)?$/.test(text) && value > 0 && value <= 1000) return value;
  throw new InvalidArgumentError('It must be a number above 0, up to 1000.');
}

function duration(text: string): number {
  const value = parseDuration(text);
  if (value !== undefined && value > 0) return value;
  throw new InvalidArgumentError('It must be a duration such as 30s, 5m or 1h.');
}

function size(text: string): number {
  const value = parseSize(text);
  if (value !== undefined) return value;
  throw new InvalidArgumentError('It must be a size such as 64KB or 50MB.');
}

function addHashPassword(program: Command, output: Output): void {
  program
    .command('hash-password <user>')
    .description(
      'Print a line for admin.passwordFile, or without --role for sapcontrol.passwordFile. Type the password, or pipe it in as the first line of standard input.',
    )
    .addOption(new Option('--role <role>', 'what the user may do at the admin plane').choices(ROLES))
    .addHelpText(
      'after',
      examples([
        'ici-gateway hash-password miller --role operator >> /etc/ici-gateway/admin.passwords',
        'ici-gateway hash-password monitor >> /etc/ici-gateway/sapcontrol.passwords',
      ]),
    )
    .action(async (user: string, { role }: { readonly role?: Role }) => {
      const { runHashPassword } = await import('./hash-password.ts');
      await runHashPassword(user, role, process.stdin, output);
    });
}
