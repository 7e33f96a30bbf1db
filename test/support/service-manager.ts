import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';
import { sendSignal } from './processes.ts';
import type { LogLine } from './test-gateway.ts';

const MANAGER = fileURLToPath(new URL('../fixtures/process/service-manager.mjs', import.meta.url));

/** Holds the listening sockets of a program and starts it with them, like systemd with socket units. */
export interface ServiceManager {
  /** The loopback addresses, by the socket names that the program gets. */
  readonly ports: { readonly data: number; readonly admin: number; readonly sapcontrol: number };
  /** The log lines of all runs of the program; `program ended` marks the end of each run. */
  readonly log: readonly LogLine[];
  /** Starts the program, or restarts it as soon as it has ended. */
  start(): void;
  /** Sends SIGKILL to the program and its children, and closes the sockets. */
  close(): Promise<void>;
}

export async function startServiceManager(program: readonly string[]): Promise<ServiceManager> {
  // In its own process group, so that its children end with it.
  const child = spawn(process.execPath, [MANAGER, ...program], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const exited = once(child, 'exit');
  const log: LogLine[] = [];
  createInterface(child.stdout).on('line', (line) => log.push(JSON.parse(line) as LogLine));
  const close = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) sendSignal(-child.pid, 'SIGKILL');
    await exited;
  };
  try {
    const { ports } = await eventually(() => {
      const held = log.find(({ msg }) => msg === 'sockets held');
      if (held === undefined) throw new Error('the service manager holds no sockets');
      return held as LogLine & Pick<ServiceManager, 'ports'>;
    });
    return { ports, log, start: () => void child.stdin.write('.'), close };
  } catch (error) {
    await close();
    throw error;
  }
}
