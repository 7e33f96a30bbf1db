import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sendSignal } from '../support/processes.ts';
import type { Cores } from './cores.ts';

/** A program under measurement: a process group of its own, whose output goes to a file. */
export interface Program {
  readonly pid: number;
  /** All that it has printed so far. */
  output(): string;
  stop(): Promise<void>;
  /** Ends it at once, and removes its output. */
  kill(): Promise<void>;
}

const STOP_MS = 5_000;
// USER_HZ, the unit of /proc, the same on every Linux whatever the kernel's own tick (proc(5)).
const TICKS_PER_SECOND = 100;

/** Everything that a benchmark starts and writes, so that all of it is removed however the benchmark ends. */
export class Workbench {
  readonly directory = mkdtempSync(join(tmpdir(), 'ici-gateway-bench-'));
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #groups = new Set<number>();
  readonly #cores: Cores | undefined;
  #started = 0;
  #interrupted = false;

  /** @param cores where the measured programs run; everything else runs where this process does */
  constructor(cores?: Cores) {
    this.#cores = cores;
    process.once('exit', () => {
      for (const group of this.#groups) sendSignal(-group, 'SIGKILL');
      rmSync(this.directory, { recursive: true, force: true });
    });
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(signal, () => {
        this.#interrupted = true;
        void this.#close().finally(() => process.exit(code));
      });
    }
  }

  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** Starts a program to be measured, on its own core if there is one. */
  startPinned(command: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
    return this.start([...(this.#cores?.measured ?? []), ...command], env);
  }

  /** Starts a program on all cores. */
  startAnywhere(command: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
    return this.start([...(this.#cores?.all ?? []), ...command], env);
  }

  /**
   * Starts a program. Its output goes to a file and not to a pipe, because reading
   * a pipe takes processor time from the measured programs.
   */
  start(command: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
    const [file = '', ...args] = command;
    this.#started += 1;
    const log = join(this.directory, `${this.#started}.log`);
    const fd = openSync(log, 'a');
    const child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', fd, fd],
      env: { ...process.env, ...env },
    });
    closeSync(fd);
    const pid = child.pid;
    if (pid === undefined) throw new Error(`cannot start ${file}`);
    this.#groups.add(pid);
    const stop = async (): Promise<void> => {
      await stopGroup(child, pid, 'SIGTERM');
      this.#groups.delete(pid);
    };
    const kill = async (): Promise<void> => {
      await stopGroup(child, pid, 'SIGKILL');
      this.#groups.delete(pid);
      rmSync(log, { force: true });
    };
    this.#closers.push(stop);
    return { pid, output: () => readFileSync(log, 'utf8'), stop, kill };
  }

  /** Never resolves after a signal, whose handler ends this process: that the signal ended the load too is no failure. */
  async close(): Promise<void> {
    if (this.#interrupted) return new Promise(() => undefined);
    return this.#close();
  }

  async #close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function stopGroup(child: ChildProcess, group: number, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  sendSignal(-group, signal);
  const cut = setTimeout(() => sendSignal(-group, 'SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(cut);
}

/** Processor seconds, user and system, that the processes of a group have used, threads included. */
export function cpuSeconds(group: number): number {
  return processesOf(group).reduce((seconds, pid) => seconds + cpuSecondsOf(pid), 0);
}

/** The processes of a group. */
export function processesOf(group: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && Number(statOf(String(pid))?.[2]) === group);
}

/**
 * The same for one process; 0 if it has ended. From the scheduler's nanoseconds of each thread (sched-stats.rst), else
 * in steps of 10 ms (proc(5), /proc/pid/stat).
 */
export function cpuSecondsOf(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const nanos = threads.reduce(
      (sum, thread) =>
        sum + Number.parseInt(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1'), 10),
      0,
    );
    if (nanos > 0) return nanos / 1e9;
  } catch {
    // It ended, or the kernel has no such file.
  }
  const fields = statOf(String(pid));
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function statOf(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    // It has ended.
    return undefined;
  }
}
