import type { ChildProcess, StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ChildOptions {
  /** The program and its first arguments. */
  readonly program: readonly string[];
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * `tied`: it ends itself when this process is gone, which it notices by an IPC channel.
   * `group`: it runs in its own process group, so that its children end with it.
   */
  readonly bond: 'tied' | 'group';
  readonly onLine: (line: string) => void;
}

/** The length of the stderr tail that a failure message quotes. */
const MAX_STDERR = 4_000;

/** A child process with line-based output and a promise for its end. */
export class Child {
  readonly #child: ChildProcess;
  readonly #group: boolean;
  #stderr = '';
  /** Resolves when the process has ended, for whatever reason. */
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
      // A process that never started emits no exit event.
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

  /** 0 if the process could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  /** A text that says why the process ended. */
  get reason(): string {
    const how = this.#child.signalCode ?? `exit code ${this.#child.exitCode}`;
    return `${how}${this.#stderr === '' ? '' : `: ${this.#stderr.trim()}`}`;
  }

  signal(name: NodeJS.Signals): void {
    this.#send(this.#group ? -this.pid : this.pid, name);
  }

  #send(pid: number, name: NodeJS.Signals): void {
    if (this.ended) return;
    try {
      process.kill(pid, name);
    } catch {
      // The process ended between the check and the signal.
    }
  }

  /** Sends SIGKILL, to the whole group if the process has its own. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Sends SIGTERM, and SIGKILL after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    if (this.ended) return;
    this.#send(this.pid, 'SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  /**
   * Resolves with the first result of `ready`.
   *
   * Rejects if the child ends before, or kills it and rejects if it takes longer than `withinMs`.
   */
  async until<T>(ready: Promise<T>, withinMs: number, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} was not ready within ${withinMs} ms`)), withinMs);
    });
    const gone = this.exited.then(() => {
      throw new Error(`${what} ended: ${this.reason}`);
    });
    // One of the three settles first; ignore the others then.
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
