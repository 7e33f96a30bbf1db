import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MAIN } from '../../src/package.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { childrenOf } from '../support/host-processes.ts';
import { post, users } from '../support/load.ts';
import { untilGone } from '../support/processes.ts';
import { freePort } from '../support/redis-server.ts';

/** A closed terminal, a `head` that exits or a full disk must not end a gateway, nor keep it from ending. */

const FULL_DISK = '/dev/full';
// Enough for a busy machine; a gateway that hangs never ends.
const SLOW = { within: 90_000 };

const FAULT = 'process.on("SIGWINCH", () => { throw new Error("a fault of this test"); })';
const CRASHES_ON_SIGWINCH = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(FAULT)}`,
};

let connector: SimulatedConnector;
let directory: string;
let config: string;
let child: ChildProcess;
let ended: Promise<[code: number | null, signal: string | null]>;
let out: string;
let err: string;

beforeAll(async () => {
  connector = await startConnector({ name: 'a' });
});

afterAll(() => connector.close());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-output-'));
  config = join(directory, 'gateway.yaml');
});

afterEach(() => {
  child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** A number means a descriptor. */
type Stream = 'pipe' | typeof FULL_DISK | number;

/** A full pipe without a reader. Returns both ends: the pipe is not broken until both are closed. */
function fullPipe(): [reading: number, writing: number] {
  const path = join(directory, 'full');
  execFileSync('mkfifo', [path]);
  const reading = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(reading, 'x'.repeat(512));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return [reading, openSync(path, 'w')];
}

function run(
  args: readonly string[],
  [stdout, stderr]: readonly [Stream, Stream] = ['pipe', 'pipe'],
  env: Record<string, string> = {},
): void {
  const full = openSync(FULL_DISK, 'w');
  const stream = (given: Stream): 'pipe' | number => (given === FULL_DISK ? full : given);
  child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', stream(stdout), stream(stderr)],
    env: { ...process.env, ...env },
  });
  closeSync(full);
  ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
  [out, err] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
}

interface StartOptions {
  readonly port?: number;
  readonly streams?: readonly [Stream, Stream];
  readonly env?: Record<string, string>;
}

function start(workers: number, { port = 0, streams, env }: StartOptions = {}): void {
  const listen = { address: `127.0.0.1:${port}` };
  const admin = { address: '127.0.0.1:0' };
  const affinity = { stateDir: directory };
  const instances = [{ id: 'a', url: connector.url }];
  const pools = [{ name: 'ici', mode: 'sticky', health: { path: '/health' }, instances }];
  writeFileSync(config, JSON.stringify({ workers, listen, admin, affinity, pools }));
  run(['start', '--config', config], streams, env);
}

const logged = (msg: string): Record<string, unknown> | undefined =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .find((line) => line.msg.startsWith(msg));

const running = (): Promise<void> => eventually(() => expect(logged('running')).toBeDefined(), SLOW);

/** The URL of a running gateway, from standard error or the log, whichever comes first. */
async function runningAt(): Promise<string> {
  await running();
  return eventually(() => {
    const url = /listens on (\S+),/.exec(err)?.[1];
    if (url === undefined) throw new Error(`it says ${err}`);
    return url;
  }, SLOW);
}

describe('a gateway', () => {
  describe.each([
    ['standard output and then standard error', ['stdout', 'stderr'], 0, {}],
    ['standard error and then standard output', ['stderr', 'stdout'], 0, { tags: 'long' }],
    ['standard output and then standard error', ['stdout', 'stderr'], 1, { tags: 'long' }],
  ] as const)('whose %s are closed (%s, with %d workers),', (_, outputs, workers, options) => {
    test('keeps running and stops softly', options, async () => {
      start(workers);
      const url = await runningAt();
      for (const output of outputs) {
        child[output]?.destroy();
        // It logs to one of them, and prints to the other.
        for (let i = 0; i < 20; i += 1) expect((await post(url, 'MILLER')).status).toBe(200);
      }
      child.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
    });
  });

  describe.each([
    [0, {}],
    [1, { tags: 'long' }],
  ])('with %d workers', (workers, options) => {
    test('keeps running and stops softly when its output is full', options, async () => {
      const port = await freePort();
      start(workers, { port, streams: [FULL_DISK, FULL_DISK] });
      const url = `http://127.0.0.1:${port}`;
      await eventually(async () => expect((await post(url, 'MILLER')).status).toBe(200), SLOW);
      // More than its write buffer.
      for (let i = 0; i < 50; i += 1) expect((await post(url, 'MILLER')).status).toBe(200);
      child.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
    });
  });

  describe.each([
    [0, { tags: 'long' }],
    [1, {}],
  ])('with %d workers', (workers, options) => {
    test('keeps running and stops softly when its full standard error has no reader', options, async () => {
      const port = await freePort();
      const [reading, writing] = fullPipe();
      try {
        start(workers, { port, streams: ['pipe', writing] });
        await running();
        // A blocking write would halt the supervisor, and with it all messages between the processes.
        if (workers > 0) {
          child.kill('SIGHUP');
          await eventually(() => expect(logged('the processes are replaced')).toBeDefined(), SLOW);
        }
        expect((await post(`http://127.0.0.1:${port}`, 'MILLER')).status).toBe(200);
        child.kill('SIGTERM');
        // Not a normal exit: a thread still hangs in its write.
        expect(await ended).toEqual([null, 'SIGKILL']);
        await eventually(() => expect(logged('stopped')).toBeDefined());
      } finally {
        closeSync(reading);
        closeSync(writing);
      }
    });
  });

  test('ends when it crashes, even if its log has no reader', { tags: 'long' }, async () => {
    start(0, { env: CRASHES_ON_SIGWINCH });
    const url = await runningAt();
    child.stdout?.removeAllListeners('data').pause();
    // Far more data than a pipe and its reader hold, and longer than the process waits for a reader.
    const path = `/${'x'.repeat(4_000)}`;
    const posts = () => Promise.all(users(20, 'AGENT').map((user) => post(`${url}${path}`, user)));
    for (let round = 0; round < 15; round += 1) await posts();
    const until = performance.now() + 1_500;
    await eventually(async () => {
      await posts();
      expect(performance.now()).toBeGreaterThan(until);
    });
    child.kill('SIGWINCH');
    expect(await ended).toEqual([null, 'SIGKILL']);
  });

  test('logs the error that crashes one of its processes', async () => {
    start(1, { env: CRASHES_ON_SIGWINCH });
    await running();
    const worker = childrenOf(child.pid as number).workers.get('worker-1') as number;
    process.kill(worker, 'SIGWINCH');
    await untilGone(worker);
    await eventually(() =>
      expect(logged('crashed')).toMatchObject({
        level: 50,
        child: 'worker-1',
        err: { message: 'a fault of this test', stack: expect.stringContaining('at process') },
      }),
    );
    await eventually(() => expect(logged('a worker ended unexpectedly')).toMatchObject({ childPid: worker }));
    process.kill(child.pid as number, 'SIGWINCH');
    expect(await ended).toEqual([1, null]);
    expect(out.match(/a fault of this test/g)?.length).toBeGreaterThan(1);
  });
});

describe('a command', () => {
  test('ends without a crash if its results have no reader', async () => {
    run(['check', '--schema']);
    child.stdout?.destroy();
    expect(await ended).toEqual([141, null]);
    expect(err).toBe('');
  });

  test('reports that its results cannot be written', async () => {
    run(['check', '--schema'], [FULL_DISK, 'pipe']);
    expect(await ended).toEqual([1, null]);
    expect(err).toMatch(/^ici-gateway: standard output cannot be written: ENOSPC.*\n$/);
  });
});
