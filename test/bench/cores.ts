import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** One core for the measured programs, another one for everything else. */
export interface Cores {
  /** Starts a command on the core of the measured programs. */
  readonly measured: readonly string[];
  /** Starts a command on all cores. */
  readonly all: readonly string[];
  readonly ofMeasured: number;
  readonly ofOthers: number;
}

/**
 * Moves this process, and so all that it starts from now on, to the first core, and keeps the last one for the measured
 * programs. Undefined where that is impossible: less than two cores, or no `taskset`.
 */
export function divideCores(): Cores | undefined {
  if (availableParallelism() < 2 || spawnSync('taskset', ['--version']).error !== undefined) return undefined;
  const allowed = allowedCores();
  const [ofOthers, ofMeasured] = [allowed[0] as number, allowed.at(-1) as number];
  try {
    const own = ['--all-tasks', '--cpu-list', '--pid', String(ofOthers), String(process.pid)];
    execFileSync('taskset', own, { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const on = (list: readonly number[]): string[] => ['taskset', '--cpu-list', list.join(',')];
  return { measured: on([ofMeasured]), all: on(allowed), ofMeasured, ofOthers };
}

/** Such as [0, 1, 2, 5] of `0-2,5`. */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
