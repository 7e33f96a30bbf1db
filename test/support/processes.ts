import { readdirSync, readFileSync } from 'node:fs';

/** A process of a gateway, with the title that it gave itself, such as `ici-gateway: worker-1`. */
export interface ProcessInfo {
  readonly pid: number;
  readonly title: string;
}

/** The children of a process that live, by what Linux tells in `/proc` (proc(5)). */
export function childrenOf(parent: number): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      // pid (name) state ppid ...; the name may hold anything.
      const [state, ppid] = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      if (state === 'Z' || Number(ppid) !== parent) continue;
      const [title = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      found.push({ pid, title });
    } catch {
      // It ended while it was looked at.
    }
  }
  return found;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
