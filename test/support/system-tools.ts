import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UNPACKED_PROGRAMS } from './unpacked-packages.ts';

/** The programs that `npm run test:deploy` needs, mostly to check the files in `deploy/`, each with its Debian package. */
export const SYSTEM_TOOLS = {
  crm_verify: 'pacemaker-cli-utils',
  'docker-compose': 'docker-compose',
  haproxy: 'haproxy',
  ip: 'iproute2',
  keepalived: 'keepalived',
  'named-checkzone': 'bind9-utils',
  pcs: 'pcs',
  promtool: 'prometheus',
  shellcheck: 'shellcheck',
  'systemd-analyze': 'systemd',
} as const;

export type SystemTool = keyof typeof SYSTEM_TOOLS;

// Programs for administrators are not in the path of every user.
const INSTALLED = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

/** The path of the program; `undefined` if it is neither installed nor downloaded. */
export function findTool(name: string): string | undefined {
  return findIn([...INSTALLED, ...UNPACKED_PROGRAMS], name);
}

/** The Debian packages of programs that are not installed, downloaded or not. */
export function packagesNotInstalled(): string[] {
  const tools = Object.keys(SYSTEM_TOOLS) as SystemTool[];
  return tools.filter((name) => findIn(INSTALLED, name) === undefined).map((name) => SYSTEM_TOOLS[name]);
}

function findIn(folders: readonly string[], name: string): string | undefined {
  return folders
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The exit code of a tool (`null` if it was killed) and its output on both streams. */
export interface ToolEnd {
  readonly code: number | null;
  readonly text: string;
}

/**
 * Runs one of the tools, for at most a minute.
 *
 * @throws if it is not installed, with the package to install
 */
export function runTool(
  name: SystemTool,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<ToolEnd> {
  const program = findTool(name);
  if (program === undefined) {
    throw new Error(`${name} is missing: npm run tools, or apt-get install ${SYSTEM_TOOLS[name]}`);
  }
  return runProgramFile(program, args, options);
}

/** The same with a program given by its path. */
export function runProgramFile(
  file: string,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<ToolEnd> {
  return new Promise((resolve) => {
    const child = execFile(
      file,
      args,
      { cwd, env: { ...process.env, ...env }, timeout: 60_000, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const why = child.exitCode === null ? `\n${error?.message ?? ''}` : '';
        resolve({ code: child.exitCode, text: `${stdout}${stderr}${why}` });
      },
    );
    child.stdin?.end();
  });
}
