import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

/** A real Redis of the test's own, on a free port, without persistence unless asked for. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** SIGSTOP: connected, and silent. */
  pause(): void;
  resume(): void;
  /** SIGKILL: what was not on disk is lost. */
  kill(): Promise<void>;
  /** Starts it again on the same port, after {@link kill}. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The server program that is installed, or `undefined`. */
export function findRedisProgram(): string | undefined {
  return ['redis-server', 'valkey-server'].find(
    (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0,
  );
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface RedisServerOptions {
  readonly persistent?: boolean;
  /** More options of the server, such as `['--requirepass', 'x']`; they win over those given here. */
  readonly args?: readonly string[] | ((port: number) => readonly string[]);
  /** Rejects while the server does not answer; a plain PING by default. */
  readonly isReady?: (port: number) => Promise<unknown>;
}

export async function startRedis({
  persistent = false,
  args = [],
  isReady = ping,
}: RedisServerOptions = {}): Promise<RedisServer> {
  const program = findRedisProgram();
  if (program === undefined)
    throw new Error('no redis-server found: install it, e.g. apt-get install redis-server');
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-redis-'));
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const persistence = persistent
      ? ['--appendonly', 'yes', '--appendfsync', 'always']
      : ['--appendonly', 'no'];
    child = spawn(
      program,
      [
        ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory],
        ...persistence,
        ...(typeof args === 'function' ? args(port) : args),
      ],
      { stdio: 'ignore' },
    );
    await eventually(() => isReady(port), { within: 10_000 });
  };
  const kill = async (): Promise<void> => {
    const victim = child;
    child = undefined;
    if (victim === undefined || victim.exitCode !== null) return;
    const gone = new Promise((resolve) => victim.once('exit', resolve));
    victim.kill('SIGKILL');
    await gone;
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}/0`,
    port,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    kill,
    start,
    stop: async () => {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function ping(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.setTimeout(500, () => socket.destroy(new Error('redis does not answer')));
    socket.once('error', reject);
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      socket.destroy();
      if (data.toString().startsWith('+PONG')) resolve();
      else reject(new Error(`redis answered ${JSON.stringify(data.toString())}`));
    });
  });
}
