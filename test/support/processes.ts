import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { eventually } from './eventually.ts';

/** A process of a gateway, with the title that it gave itself, such as `ici-gateway: worker-1`. */
export interface ProcessInfo {
  readonly pid: number;
  readonly title: string;
}

/** The live children of a process, from `/proc` (proc(5)). */
export function childrenOf(parent: number): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = statOf(pid);
    if (stat?.parent === parent && stat.state !== 'Z') found.push({ pid, title: titleOf(pid) });
  }
  return found;
}

/**
 * Sends a signal to a process that may have ended by itself, or by its supervisor.
 *
 * @param pid negative for a process group
 * @returns false if it has ended
 */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

/**
 * Sends SIGSTOP; resolves when the process has really stopped, so that a test can count its sockets.
 *
 * @returns false if it has ended
 */
export async function halt(pid: number): Promise<boolean> {
  sendSignal(pid, 'SIGSTOP');
  return eventually(
    () => {
      const state = statOf(pid)?.state;
      if (state === undefined || state === 'Z') return false;
      if (state !== 'T') throw new Error(`process ${pid} does not stop`);
      return true;
    },
    { every: 1 },
  );
}

/** Resolves when the process has ended, whether or not its parent knows. */
export async function untilGone(pid: number): Promise<void> {
  await eventually(
    () => {
      const state = statOf(pid)?.state;
      if (state !== undefined && state !== 'Z') throw new Error(`process ${pid} does not end`);
    },
    { every: 1 },
  );
}

/** Undefined if the process has ended meanwhile. */
function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The name may contain blanks and parentheses; it ends at the last parenthesis.
  const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return state === undefined || state === '' ? undefined : { state, parent: Number(parent) };
}

function titleOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).split('\0')[0] ?? '';
}

/** Empty if the process has ended meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Keeps processes, with all their threads, on one core. */
export function pin(core: number, pids: readonly number[]): void {
  for (const pid of pids)
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)]);
}
