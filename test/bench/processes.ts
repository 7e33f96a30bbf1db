import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sendSignal } from '../support/processes.ts';

/** A program under measurement: a process group of its own, whose output goes to a file. */
export interface Program {
  readonly pid: number;
  /** All that it has printed so far. */
  output(): string;
  stop(): Promise<void>;
}

const STOP_MS = 5_000;
// USER_HZ, the unit of /proc, the same on every Linux whatever the kernel's own tick (proc(5)).
const TICKS_PER_SECOND = 100;

/** Everything that a benchmark starts and writes, so that all of it is removed however the benchmark ends. */
export class Workbench {
  readonly directory = mkdtempSync(join(tmpdir(), 'ici-gateway-bench-'));
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #groups = new Set<number>();
  #started = 0;

  constructor() {
    process.once('exit', () => {
      for (const group of this.#groups) sendSignal(-group, 'SIGKILL');
      rmSync(this.directory, { recursive: true, force: true });
    });
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(signal, () => void this.close().finally(() => process.exit(code)));
    }
  }

  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
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
    const pid = child.pid;
    if (pid === undefined) throw new Error(`cannot start ${file}`);
    this.#groups.add(pid);
    const stop = async (): Promise<void> => {
      await stopGroup(child, pid);
      this.#groups.delete(pid);
    };
    this.#closers.push(stop);
    return { pid, output: () => readFileSync(log, 'utf8'), stop };
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function stopGroup(child: ChildProcess, group: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  sendSignal(-group, 'SIGTERM');
  const cut = setTimeout(() => sendSignal(-group, 'SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(cut);
}

/**
 * Processor seconds, user and system, that the processes of a group have used,
 * threads included; in steps of 10 ms (proc(5), /proc/pid/stat).
 */
export function cpuSeconds(group: number): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc')) {
    const first = pid.charCodeAt(0);
    if (first < 48 || first > 57) continue;
    // The second field, the name, may contain blanks and parentheses; the third comes after its last ")".
    const fields = statOf(pid);
    if (fields === undefined || Number(fields[2]) !== group) continue;
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** The same for one process; 0 if it has ended. */
export function cpuSecondsOf(pid: number): number {
  const fields = statOf(String(pid));
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function statOf(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    // It ended after the listing.
    return undefined;
  }
}
