import { childrenOf as allChildrenOf } from './processes.ts';

export interface HostProcesses {
  readonly controller: number | undefined;
  /** By their ids, such as `worker-1`. */
  readonly workers: ReadonlyMap<string, number>;
}

/** The live children of a supervisor that have a role, identified by their titles. */
export function childrenOf(supervisor: number): HostProcesses {
  const workers = new Map<string, number>();
  let controller: number | undefined;
  for (const { pid, title } of allChildrenOf(supervisor)) {
    const [, id] = /^ici-gateway: ([\w-]+)/.exec(title) ?? [];
    if (id === 'controller') controller = pid;
    else if (id?.startsWith('worker-')) workers.set(id, pid);
  }
  return { controller, workers };
}
