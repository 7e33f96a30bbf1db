import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';
import type { LogLine } from './test-gateway.ts';

const MANAGER = fileURLToPath(new URL('../fixtures/process/service-manager.mjs', import.meta.url));

/** Holds the listening sockets of a program and starts it with them, as systemd does by socket units. */
export interface ServiceManager {
  /** On loopback, by the names that the program is given. */
  readonly ports: { readonly data: number; readonly admin: number; readonly sapcontrol: number };
  /** What the program has logged, in all of its lives; `program ended` tells of the end of each. */
  readonly log: readonly LogLine[];
  /** Starts the program; or again, as soon as it has ended. */
  start(): void;
  /** SIGKILL to the program and all that belongs to it. The sockets are gone then. */
  close(): Promise<void>;
}

export async function startServiceManager(program: readonly string[]): Promise<ServiceManager> {
  // In a group of its own, so that its children can be ended with it.
  const child = spawn(process.execPath, [MANAGER, ...program], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const exited = once(child, 'exit');
  const log: LogLine[] = [];
  createInterface(child.stdout).on('line', (line) => log.push(JSON.parse(line) as LogLine));
  const close = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
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
