import { readFileSync } from 'node:fs';

export interface HostProcesses {
  readonly controller: number | undefined;
  /** By their ids, such as `worker-1`. */
  readonly workers: ReadonlyMap<string, number>;
}

/** The children of a supervisor that live now, told apart by their titles. */
export function childrenOf(supervisor: number): HostProcesses {
  const children = read(`/proc/${supervisor}/task/${supervisor}/children`).trim().split(' ');
  const workers = new Map<string, number>();
  let controller: number | undefined;
  for (const pid of children.filter((child) => child !== '').map(Number)) {
    const [, role] = /^ici-gateway: ([\w-]+)/.exec(read(`/proc/${pid}/cmdline`)) ?? [];
    if (role === 'controller') controller = pid;
    else if (role?.startsWith('worker-')) workers.set(role, pid);
  }
  return { controller, workers };
}

/** Empty where the process has ended meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
