import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { findTool } from './system-tools.ts';

export interface Haproxy {
  close(): Promise<void>;
}

/**
 * A real haproxy for one test, which listens when this resolves.
 *
 * @param config the complete configuration, with the ports filled in
 * @param ports the ports of its frontends
 * @throws if it is not installed or rejects the configuration, with its own message
 */
export async function startHaproxy(config: string, ports: readonly number[]): Promise<Haproxy> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-haproxy-'));
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, config);
  // -db: stays in the foreground, one process.
  const child = spawn(findTool('haproxy') ?? 'haproxy', ['-db', '-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr?.on('data', (chunk) => {
    words += String(chunk);
  });
  let failure: Error | undefined;
  child.once('error', (cause) => {
    failure = new Error(
      'cannot start haproxy, which this test needs: npm run tools, or apt-get install haproxy',
      {
        cause,
      },
    );
  });
  const close = async (): Promise<void> => {
    await stop(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await eventually(
      async () => {
        if (failure === undefined && child.exitCode !== null) failure = new Error(`haproxy ended: ${words}`);
        if (failure === undefined) await Promise.all(ports.map(accepts));
      },
      { within: 10_000 },
    );
    if (failure !== undefined) throw failure;
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

function accepts(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
