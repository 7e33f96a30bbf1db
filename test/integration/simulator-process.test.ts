import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { isAlive } from '../../src/core/process-alive.ts';
import { MAIN } from '../../src/package.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { ConnectorProcess } from '../../src/simulator/connector-process.ts';
import { startConnectorProcess } from '../../src/simulator/connector-process.ts';
import { writeMessage } from '../../src/simulator/wire.ts';
import { eventually } from '../support/eventually.ts';

const NAIVE = fileURLToPath(new URL('../fixtures/simulator/naive-gateway.mjs', import.meta.url));
const DEMO = fileURLToPath(new URL('../../build/src/cli/demo.js', import.meta.url));

const open: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function connectorProcess(): Promise<ConnectorProcess> {
  const connector = await startConnectorProcess({ name: 'a' });
  open.push(() => connector.close());
  return connector;
}

function post(url: string, id: string, timeoutMs = 5_000): Promise<string> {
  return fetch(url, {
    method: 'POST',
    headers: { soapuser: 'U1', 'x-sim-delivery': id, connection: 'close' },
    body: writeMessage('1.1', 'getAttributes', [['user', 'U1']]),
    signal: AbortSignal.timeout(timeoutMs),
  }).then(async (answer) => `${answer.status} ${answer.headers.get('x-incarnation')} ${await answer.text()}`);
}

async function incarnationOf(url: string): Promise<string> {
  return ((await (await fetch(`${url}/health`)).json()) as { incarnation: string }).incarnation;
}

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

function run(file: string, args: readonly string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [file, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  open.push(() => child.kill('SIGKILL'));
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return { child, output: () => output, ended };
}

describe('a simulated connector as a process', { tags: 'long' }, () => {
  test('is killed, and restarts on the same port', async () => {
    const connector = await connectorProcess();
    const first = await incarnationOf(connector.url);
    await connector.kill();
    await expect(post(connector.url, 'd0')).rejects.toThrow();
    await connector.restart();
    expect(await incarnationOf(connector.url)).not.toBe(first);
  });

  test('reports the requests of all its incarnations, even while no process runs', async () => {
    const connector = await connectorProcess();
    await post(connector.url, 'd1');
    await post(connector.url, 'd2');
    await connector.kill();
    expect(await connector.deliveries()).toMatchObject({ total: 2, completed: 2, duplicates: [] });
    await connector.restart();
    await post(connector.url, 'd1');
    expect(await connector.deliveries()).toMatchObject({ total: 3, duplicates: ['d1'] });
  });

  test('is silent while it is stopped, and continues as the same incarnation', async () => {
    const connector = await connectorProcess();
    const before = await incarnationOf(connector.url);
    connector.stop();
    await expect(post(connector.url, 'd1', 150)).rejects.toThrow(/timeout/);
    connector.cont();
    expect(await post(connector.url, 'd2')).toContain(before);
  });

  test('ends by itself when the process that started it is killed', async () => {
    // No process is left to remove its files.
    const directory = mkdtempSync(join(tmpdir(), 'ici-orphan-test-'));
    open.push(() => rmSync(directory, { recursive: true, force: true }));
    const parent = run(
      '--input-type=module',
      [
        '-e',
        `import { startConnectorProcess } from ${JSON.stringify(DEMO.replace('cli/demo', 'simulator/connector-process'))};
       const { pid, url } = await startConnectorProcess({ name: 'a' });
       process.stdout.write(pid + '\\n');
       setInterval(() => {}, 1000);`,
      ],
      { TMPDIR: directory },
    );
    const pid = await eventually(() => {
      expect(parent.output()).toMatch(/^\d+\n/);
      return Number.parseInt(parent.output(), 10);
    });
    expect(isAlive(pid)).toBe(true);
    parent.child.kill('SIGKILL');
    await eventually(() => expect(isAlive(pid)).toBe(false));
  });

  test('reports the reason when it cannot start', async () => {
    const connector = await connectorProcess();
    await expect(startConnectorProcess({ name: 'b', port: connector.port })).rejects.toThrow(/EADDRINUSE/);
  });
});

describe('simulate', () => {
  async function connector(): Promise<SimulatedConnector> {
    const started = await startConnector({ name: 'a' });
    open.push(() => started.close());
    return started;
  }

  test('connector prints its address, and ends on SIGTERM', async () => {
    const { child, output, ended } = run(MAIN, ['simulate', 'connector', '--name', 'x', '--port', '0']);
    await eventually(() => expect(output()).toMatch(/^listening http:\/\/127\.0\.0\.1:\d+\n$/));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  test('agents prints its figures as JSON and exits with 0 on success', async () => {
    const { url } = await connector();
    const args = [
      'simulate',
      'agents',
      '--url',
      url,
      '--agents',
      '3',
      '--for',
      '300ms',
      '--rate',
      '20',
      '--json',
    ];
    const { output, ended } = run(MAIN, args);
    expect(await ended).toBe(0);
    expect(JSON.parse(output())).toMatchObject({ logons: 3, logoffs: 3, splits: 0, errors: {} });
  });

  test('agents exits with 1 when an agent was split', async () => {
    const [a, b] = [await connector(), await connector()];
    // Two connectors without a gateway in front.
    const args = ['simulate', 'agents', '--agents', '3', '--for', '500ms', '--rate', '20'];
    const { output, ended } = run(MAIN, [...args, '--url', a.url, '--url', b.url]);
    expect(await ended).toBe(1);
    expect(output()).toMatch(/^splits +[1-9]/m);
    expect(output()).toContain('was answered by a and by a');
  });

  test('agents prints its summary, and logs its agents off, on Ctrl-C', async () => {
    const { url, sessions } = await connector().then((one) => ({
      url: one.url,
      sessions: () => one.sessions(),
    }));
    const { child, output, ended } = run(MAIN, [
      'simulate',
      'agents',
      '--url',
      url,
      '--agents',
      '3',
      '--for',
      '1m',
    ]);
    await eventually(() => expect(sessions()).toHaveLength(3));
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(output()).toMatch(/^logons +3/m);
    expect(sessions()).toHaveLength(0);
  });
});

describe('the demo', { tags: 'long' }, () => {
  /** A separate temporary directory, to find files that it leaves behind. */
  function demo(program: readonly string[], once: boolean): Run & { readonly directory: string } {
    const directory = mkdtempSync(join(tmpdir(), 'ici-demo-test-'));
    open.push(() => rmSync(directory, { recursive: true, force: true }));
    const script = `import { runDemo } from ${JSON.stringify(DEMO)};
      process.exitCode = await runDemo({ once: ${once}, agents: 6, forMs: 60000, program: ${JSON.stringify(program)} });`;
    return { ...run('--input-type=module', ['-e', script], { TMPDIR: directory }), directory };
  }

  /** Every process whose environment names that directory. */
  function processesOf(directory: string): string[] {
    return readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`TMPDIR=${directory}\0`);
      } catch {
        return false;
      }
    });
  }

  test('fails, with a verdict, with a gateway that splits agents', async () => {
    const { output, ended, directory } = demo([process.execPath, NAIVE], true);
    expect(await ended).toBe(1);
    expect(output()).toMatch(/^FAIL {2}\d+ logons? answered by two living connectors/m);
    expect(readdirSync(directory)).toEqual([]);
    expect(processesOf(directory)).toEqual([]);
  });

  test('leaves no process and no file behind on Ctrl-C', async () => {
    const { child, output, ended, directory } = demo([process.execPath, MAIN], false);
    await eventually(() => expect(output()).toContain('agents log on'), { within: 15_000 });
    expect(processesOf(directory).length).toBeGreaterThanOrEqual(5);
    child.kill('SIGINT');
    await ended;
    expect(readdirSync(directory)).toEqual([]);
    expect(processesOf(directory)).toEqual([]);
  });

  test('leaves nothing behind on Ctrl-C while its gateway is still starting', async () => {
    const { child, ended, directory } = demo([process.execPath, NAIVE, 'never-ready'], true);
    // Three connectors and a gateway that prints no address.
    await eventually(() => expect(processesOf(directory)).toHaveLength(5), { within: 15_000 });
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(readdirSync(directory)).toEqual([]);
    expect(processesOf(directory)).toEqual([]);
  });

  test('leaves nothing behind when its processes cannot be started', async () => {
    const { output, ended, directory } = demo([process.execPath, '-e', 'process.exit(3)'], true);
    expect(await ended).toBe(1);
    expect(output()).toContain('simulated connector a ended: exit code 3');
    expect(existsSync(directory) && readdirSync(directory)).toEqual([]);
    expect(processesOf(directory)).toEqual([]);
  });
});
