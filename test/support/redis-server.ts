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

/** A real Redis of the test's own, on a free port, without persistence unless asked for. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Of the server that runs now. */
  readonly pid: number;
  /** SIGSTOP: connected, and silent. */
  pause(): void;
  resume(): void;
  /** SIGKILL: what was not on disk is lost. */
  kill(): Promise<void>;
  /** Starts it again on the same port, after {@link kill}. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The server program that is installed or was fetched, or `undefined`. */
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
 * A port at 127.0.0.1 on which nobody listens, for a program that cannot be
 * given 0. The kernel does not give it to anybody in the meantime: it is below
 * those from which `listen(0)` and connections take theirs.
 */
export async function freePort(): Promise<number> {
  const range = firstEphemeralPort() - LOWEST_PORT;
  for (;;) {
    // Where the kernel leaves too few to others, its own will have to do.
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

/** The port that was listened on for a moment, or `undefined` where somebody else has it. */
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
  /** More options of the server, such as `['--requirepass', 'x']`; they win over those given here. */
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
      // Somebody may have taken the port since nobody had it.
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
