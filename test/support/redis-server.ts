import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { UNPACKED_PROGRAMS } from './unpacked-packages.ts';

/** A real Redis for one test, on a free port, without persistence unless requested. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** The pid of the current server process. */
  readonly pid: number;
  /** Sends SIGSTOP: the server stays connected, but silent. */
  pause(): void;
  resume(): void;
  /** Sends SIGKILL: data that is not on disk is lost. */
  kill(): Promise<void>;
  /** Starts the server again on the same port, after {@link kill}. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The installed or downloaded server program, or `undefined`. */
export function findRedisProgram(): string | undefined {
  const fetched = UNPACKED_PROGRAMS.map((folder) => join(folder, 'redis-server'));
  return ['redis-server', 'valkey-server', ...fetched].find(
    (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0,
  );
}

const LOWEST_PORT = 20_000;
const FEWEST_PORTS = 1_000;
const given = new Set<number>();

/**
 * A free port at 127.0.0.1, for a program that does not accept port 0. The kernel does
 * not assign it to another program meanwhile, because it is below the range for
 * `listen(0)` and for outgoing connections.
 */
export async function freePort(): Promise<number> {
  const range = firstEphemeralPort() - LOWEST_PORT;
  for (;;) {
    // If too few ports are outside that range, use one inside.
    const wanted = range < FEWEST_PORTS ? 0 : LOWEST_PORT + randomInt(range);
    const port = given.has(wanted) ? undefined : await listenOnce(wanted);
    if (port === undefined) continue;
    given.add(port);
    return port;
  }
}

function firstEphemeralPort(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    return 32_768;
  }
}

/** The port, after a short test listen; `undefined` if another program has it. */
async function listenOnce(wanted: number): Promise<number | undefined> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(wanted, '127.0.0.1', resolve);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface RedisServerOptions {
  readonly persistent?: boolean;
  /** More options of the server, such as `['--requirepass', 'x']`; they override the defaults here. */
  readonly args?: readonly string[] | ((port: number) => readonly string[]);
  /** Rejects while the server does not answer; a plain PING by default. */
  readonly isReady?: (port: number) => Promise<unknown>;
}

const MOST_PORTS = 3;

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const program = findRedisProgram();
  if (program === undefined)
    throw new Error('no redis-server found: npm run redis, or apt-get install redis-server');
  for (let tries = 1; ; tries += 1) {
    try {
      return await startRedisAt(await freePort(), program, options);
    } catch (error) {
      // Another program may have taken the port since the test listen.
      if (!(error instanceof EndedUnready) || tries === MOST_PORTS) throw error;
    }
  }
}

class EndedUnready extends Error {}

async function startRedisAt(
  port: number,
  program: string,
  { persistent = false, args = [], isReady = ping }: RedisServerOptions,
): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-redis-'));
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const persistence = persistent
      ? ['--appendonly', 'yes', '--appendfsync', 'always']
      : ['--appendonly', 'no'];
    const started = spawn(
      program,
      [
        ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory],
        ...persistence,
        ...(typeof args === 'function' ? args(port) : args),
      ],
      { stdio: 'ignore' },
    );
    child = started;
    const ended = new Promise<never>((_resolve, reject) => {
      started.once('exit', (code, signal) =>
        reject(new EndedUnready(`${program} at port ${port} ended with ${code ?? signal}`)),
      );
    });
    await Promise.race([eventually(() => isReady(port), { within: 10_000 }), ended]);
  };
  const kill = async (): Promise<void> => {
    const victim = child;
    child = undefined;
    if (victim === undefined || victim.exitCode !== null) return;
    const gone = new Promise((resolve) => victim.once('exit', resolve));
    victim.kill('SIGKILL');
    await gone;
  };
  const stop = async (): Promise<void> => {
    await kill();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${port}/0`,
    port,
    get pid() {
      return child?.pid ?? Number.NaN;
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    kill,
    start,
    stop,
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
