import type { ChildProcess, StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ChildOptions {
  /** Program and its first arguments. */
  readonly program: readonly string[];
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * `tied`: ends itself when this process is gone, by way of an IPC channel.
   * `group`: in a process group of its own, so that its children end with it.
   */
  readonly bond: 'tied' | 'group';
  readonly onLine: (line: string) => void;
}

/** What a child wrote last to stderr, for the message when it fails. */
const MAX_STDERR = 4_000;

/** A child process whose output is read by lines and whose end can be waited for. */
export class Child {
  readonly #child: ChildProcess;
  readonly #group: boolean;
  #stderr = '';
  /** Resolves when it has ended, whoever ended it. */
  readonly exited: Promise<void>;

  constructor(options: ChildOptions) {
    const [program, ...first] = options.program;
    if (program === undefined) throw new Error('no program to start');
    this.#group = options.bond === 'group';
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
    if (!this.#group) stdio.push('ipc');
    this.#child = spawn(program, [...first, ...options.args], {
      stdio,
      env: { ...process.env, ...options.env },
      detached: this.#group,
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      // Could not be started at all: there will be no exit.
      this.#child.once('error', (error) => {
        this.#stderr += error.message;
        resolve();
      });
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR);
    });
    if (this.#child.stdout !== null) createInterface(this.#child.stdout).on('line', options.onLine);
  }

  /** Of a child that was started; 0 where that failed. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  /** Why it ended, in words. */
  get reason(): string {
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode}`;
    return `${how}${this.#stderr === '' ? '' : `: ${this.#stderr.trim()}`}`;
  }

  signal(name: NodeJS.Signals): void {
    if (this.ended) return;
    try {
      process.kill(this.#group ? -this.pid : this.pid, name);
    } catch {
      // It ended between the look and the signal.
    }
  }

  /** SIGKILL, to its whole group where it has one. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** SIGTERM, and SIGKILL after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    if (this.ended) return;
    process.kill(this.pid, 'SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  /**
   * Resolves with what `ready` gives.
   *
   * Rejects, and has killed the child, when it ended before or took longer than `withinMs`.
   */
  async until<T>(ready: Promise<T>, withinMs: number, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} was not ready within ${withinMs} ms`)), withinMs);
    });
    const gone = this.exited.then(() => {
      throw new Error(`${what} ended: ${this.reason}`);
    });
    // One of the three settles first; the others are then nobody's concern.
    gone.catch(() => undefined);
    try {
      return await Promise.race([ready, late, gone]);
    } catch (error) {
      await this.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
