import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// Longer than a request and shorter than a second; the default of the kernel.
const PERIOD_US = 100_000;

/**
 * Lets each of some processes, its threads included, use no more than a share of a core. Needs root and the
 * controller `cpu` of the kernel's control groups: cpu.max (cgroup-v2.rst) or cpu.cfs_quota_us (sched-bwc.rst).
 *
 * @param share of a core, such as 0.3
 * @returns removes the limits again, of live and ended processes
 * @throws if nothing can be limited, with what is missing
 */
export function limitProcessors(pids: readonly number[], share: number): () => void {
  const { directory, isUnified } = findHierarchy();
  const groups: string[] = [];
  const lift = (): void => {
    for (const group of groups.splice(0)) {
      for (const pid of members(group)) move(pid, directory);
      rmdirSync(group);
    }
  };
  try {
    if (isUnified) writeFileSync(join(directory, 'cgroup.subtree_control'), '+cpu');
    for (const pid of pids) {
      const group = join(directory, `ici-gateway-bench-${pid}`);
      mkdirSync(group);
      groups.push(group);
      if (isUnified) writeFileSync(join(group, 'cpu.max'), `${PERIOD_US * share} ${PERIOD_US}`);
      else {
        writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
        writeFileSync(join(group, 'cpu.cfs_quota_us'), String(PERIOD_US * share));
      }
      move(pid, group);
    }
  } catch (error) {
    lift();
    throw new Error(
      `cannot limit processes to ${share} of a core: ${(error as Error).message}. It takes root, on a machine or ` +
        `in a container that lets it write to ${directory}.`,
    );
  }
  return lift;
}

function findHierarchy(): { readonly directory: string; readonly isUnified: boolean } {
  // proc(5): the fifth field is the mount point; after " - " come its type, source and options.
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .trim()
    .split('\n')
    .map((line) => ({
      directory: line.split(' ')[4] ?? '',
      filesystem: (line.split(' - ')[1] ?? '').split(' '),
    }));
  for (const { directory, filesystem } of mounts) {
    const [type, , options] = filesystem;
    if (type === 'cgroup' && options?.split(',').includes('cpu')) return { directory, isUnified: false };
    if (type === 'cgroup2' && controllers(directory).includes('cpu')) return { directory, isUnified: true };
  }
  throw new Error('no control groups with the controller "cpu" are mounted: processes cannot be limited');
}

function controllers(directory: string): string[] {
  const file = join(directory, 'cgroup.controllers');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : [];
}

function members(group: string): string[] {
  return readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean);
}

function move(pid: number | string, group: string): void {
  writeFileSync(join(group, 'cgroup.procs'), String(pid));
}
