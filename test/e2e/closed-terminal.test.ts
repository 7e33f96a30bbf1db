import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { isAlive } from '../../src/core/process-alive.ts';
import { eventually } from '../support/eventually.ts';
import { PROGRAM } from '../support/gateway-process.ts';
import { sendSignal } from '../support/processes.ts';
import type { ReceivedRequest } from '../support/wire.ts';
import { ENVELOPE, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** A gateway that was started by hand must not go on unseen when its terminal is closed. */

const PATIENT = { within: 90_000 };

let directory: string;
let instance: WireUpstream;
/** Lets the instance answer. */
let answers: (() => void)[] = [];
let terminal: ChildProcess;
let out: string;
let pid: number;

beforeAll(async () => {
  instance = await WireUpstream.start((_request: ReceivedRequest, socket) => {
    answers.push(() => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
});

afterAll(() => instance.close());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-terminal-'));
  answers = [];
  out = '';
});

afterEach(() => {
  terminal.kill('SIGKILL');
  sendSignal(pid, 'SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** Starts it at a terminal of its own: `script` keeps one open as long as it lives. */
async function startAtTerminal(before: string, after = ''): Promise<void> {
  const free = { address: '127.0.0.1:0' };
  const pools = [{ name: 'ici', health: { path: '/health' }, instances: [{ id: 'a', url: instance.url }] }];
  const config = join(directory, 'gateway.yaml');
  writeFileSync(config, JSON.stringify({ workers: 0, listen: free, admin: free, pools }));
  const command = `${PROGRAM.join(' ')} start --config ${config} --pid-file ${directory}/pid`;
  terminal = spawn('script', ['-qefc', `${before} ${command}${after}`, `${directory}/typescript`], {
    env: { ...process.env, XDG_STATE_HOME: directory },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  terminal.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  await eventually(() => {
    pid = Number(readFileSync(`${directory}/pid`, 'utf8'));
    if (portOf(shown()) === 0) throw new Error(`does not listen: ${shown()}`);
  }, PATIENT);
}

/** With nohup, its output is in a file. */
function shown(): string {
  const file = join(directory, 'nohup.out');
  return existsSync(file) ? readFileSync(file, 'utf8') : out;
}

function portOf(text: string): number {
  return Number(/ici-gateway listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1] ?? 0);
}

/** Leaves at once: a stopping gateway waits for connections that are silent. */
async function connects(port: number): Promise<void> {
  (await WireClient.open(port)).leave();
}

test('a gateway stops softly when its terminal is closed, and reloads while it is open', async () => {
  // The shell gets the signal of the terminal, passes it on, and tells how the gateway ended.
  await startAtTerminal("trap 'kill -HUP $!' HUP;", ` & wait $!; wait $!; echo $? > ${directory}/code`);
  process.kill(pid, 'SIGHUP');
  await eventually(() => {
    if (!out.includes('cannot reload its configuration')) throw new Error('nothing of a reload');
  }, PATIENT);

  const client = await WireClient.open(portOf(out));
  client.send(soapPost('/ici', ENVELOPE, ['soapuser: MILLER']));
  await eventually(() => {
    if (answers.length === 0) throw new Error('the request has not arrived');
  }, PATIENT);
  terminal.kill('SIGKILL');
  await eventually(async () => {
    await expect(connects(portOf(out))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  }, PATIENT);
  expect(isAlive(pid)).toBe(true);
  for (const answer of answers) answer();
  expect((await client.response()).status).toBe(200);
  // By itself, and not because it aborted.
  await eventually(() => expect(readFileSync(`${directory}/code`, 'utf8')).toBe('137\n'), PATIENT);
  expect(existsSync(`${directory}/pid`)).toBe(false);
});

test('a gateway that was started with nohup goes on', async () => {
  await startAtTerminal(`cd ${directory}; exec nohup`);
  terminal.kill('SIGKILL');
  await eventually(() => {
    if (!shown().includes('cannot reload its configuration')) throw new Error('nothing of a reload');
  }, PATIENT);
  expect(isAlive(pid)).toBe(true);
});
