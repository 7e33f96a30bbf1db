/**
 * Makes sure that the programs are there which the files in `deploy/` are
 * checked with: root, as in a container, has what is missing installed with
 * apt-get. Else says in one sentence what to install, and fails.
 */
import { spawnSync } from 'node:child_process';
import type { SystemTool } from './system-tools.ts';
import { findTool, SYSTEM_TOOLS } from './system-tools.ts';

const missing = missingPackages();
if (missing.length > 0) install(missing);

function missingPackages(): string[] {
  const tools = Object.keys(SYSTEM_TOOLS) as SystemTool[];
  return tools.filter((name) => findTool(name) === undefined).map((name) => SYSTEM_TOOLS[name]);
}

function install(packages: readonly string[]): void {
  if (process.getuid?.() !== 0 || findTool('apt-get') === undefined) giveUp(packages, '');
  process.stderr.write(`installing ${packages.join(', ')}: the files in deploy/ are checked with them\n`);
  const commands = [
    ['apt-get', 'update', '-q'],
    ['apt-get', 'install', '-qy', '--no-install-recommends', ...packages],
  ];
  // Services that come with them are not wanted.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', SYSTEMD_OFFLINE: '1' };
  for (const command of commands) {
    const [program = '', ...args] = command;
    const { status } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    if (status !== 0) giveUp(packages, ` (${command.join(' ')} failed)`);
  }
  const still = missingPackages();
  if (still.length > 0) giveUp(still, ' (apt-get installed them, and their programs are not there)');
}

function giveUp(packages: readonly string[], why: string): never {
  process.stderr.write(
    `The files in deploy/ are checked with programs of these Debian packages, which are missing${why}: ${packages.join(' ')}\n` +
      'Install them; until then those checks fail, and nothing else.\n',
  );
  process.exit(1);
}
