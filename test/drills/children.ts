import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { eventually } from '../support/eventually.ts';

/** A process that a supervisor has forked, by what it calls itself. */
export interface ForkedChild {
  readonly pid: number;
  readonly role: 'controller' | 'worker';
}

/** What a supervisor has forked and what has taken its name, be it ready or not. */
export function childrenOf(supervisor: number): ForkedChild[] {
  const children: ForkedChild[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || statOf(pid)?.parent !== supervisor) continue;
    const role = /^ici-gateway: (controller|worker)/.exec(titleOf(pid))?.[1];
    if (role !== undefined) children.push({ pid, role: role as ForkedChild['role'] });
  }
  return children;
}

export function workersOf(supervisor: number): number[] {
  return childrenOf(supervisor).flatMap(({ pid, role }) => (role === 'worker' ? [pid] : []));
}

/** The clients' ends of the connections to a port that are held by a process which was {@link halt}ed. */
export async function clientPortsOf(pid: number, port: number): Promise<Set<number>> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const ports = new Set<number>();
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n');
  for (const line of lines) {
    // proc(5): sl, local_address, rem_address, st, queues, timer, retransmits, uid, timeout, inode.
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(suffix) !== true || !inodes.has(fields[9] ?? '')) continue;
    ports.add(Number.parseInt(fields[2]?.slice(-4) ?? '', 16));
  }
  return ports;
}

/** SIGSTOP; resolves when the process does nothing any more, so that what it holds can be counted. */
export async function halt(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await eventually(
    () => {
      if (statOf(pid)?.state !== 'T') throw new Error(`process ${pid} does not stop`);
    },
    { every: 1 },
  );
}

/** Resolves when the process has ended. */
export async function untilGone(pid: number): Promise<void> {
  await eventually(
    () => {
      const state = statOf(pid)?.state;
      if (state !== undefined && state !== 'Z') throw new Error(`process ${pid} does not end`);
    },
    { every: 1 },
  );
}

function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, which may hold blanks and parentheses, ends at the last one.
    const [state = '', parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    // It ended between the listing and the look.
    return undefined;
  }
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
