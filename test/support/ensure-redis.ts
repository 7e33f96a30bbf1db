/**
 * Makes sure that there is a Redis for the tests to start: where none is
 * installed it is, through the system's package manager, if that asks for no
 * password. Else says in one sentence what to install, and fails.
 */
import { spawnSync } from 'node:child_process';
import { findRedisProgram } from './redis-server.ts';

interface PackageManager {
  readonly program: string;
  /** Run one after the other; the first that fails ends it. */
  readonly commands: readonly (readonly string[])[];
}

const MANAGERS: readonly PackageManager[] = [
  {
    program: 'apt-get',
    commands: [
      ['apt-get', 'update', '-q'],
      // The server is started by the tests, on ports of their own: the service is not wanted.
      ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get', 'install', '-qy', 'redis-server'],
    ],
  },
  { program: 'dnf', commands: [['dnf', 'install', '-qy', 'valkey']] },
  { program: 'apk', commands: [['apk', 'add', '-q', 'redis']] },
];

if (findRedisProgram() === undefined) install();

function install(): void {
  const manager = MANAGERS.find(({ program }) => runs(['sh', '-c', `command -v ${program}`]));
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  if (manager === undefined || !(asRoot.length === 0 || runs([...asRoot, 'true']))) giveUp('');
  process.stderr.write(`no redis-server found: installing it with ${manager.program}\n`);
  for (const command of manager.commands) {
    const [program = '', ...args] = [...asRoot, ...command];
    const { status } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) giveUp(` (${command.join(' ')} failed)`);
  }
  if (findRedisProgram() === undefined) giveUp('');
}

function runs([program = '', ...args]: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

function giveUp(why: string): never {
  process.stderr.write(
    `The tests need redis-server or valkey-server on the PATH, and it could not be installed${why}: ` +
      'install it, for example with "apt-get install redis-server".\n',
  );
  process.exit(1);
}
