import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { PROGRAM, startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import { callSapControl, colourOf } from '../support/life-record.ts';
import { post } from '../support/load.ts';
import type { Answer, TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';

/** An operator's change to a gateway applies to all its processes and to their successors. */

// On a busy machine a process takes several times as long to start.
const PATIENT = { within: 90_000 };
const PAGE = '<h1>Back at eight</h1>';

let folder: string;
let socketPath: string;
let token: TokenFile;
let connector: SimulatedConnector;
let config: Record<string, unknown>;
let gateway: GatewayProcess;
/** The pids of processes that this test has stopped. */
const stopped = new Set<number>();
let marks = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ici-operated-'));
  socketPath = join(folder, '.sapstream50013');
  token = writeTokenFile();
  const pageFile = join(folder, 'maintenance.html');
  writeFileSync(pageFile, PAGE);
  connector = await startConnector({ name: 'a' });
  config = {
    workers: 2,
    admin: { address: '127.0.0.1:0', tokenFile: token.path },
    sapcontrol: { address: '127.0.0.1:0', socket: socketPath },
    maintenance: { pageFile, retryAfter: '90s' },
    // The watchdog must not kill a process that the test stops.
    lifecycle: { watchdogTimeout: '0s' },
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        health: { path: '/health' },
        instances: [{ id: 'a', url: connector.url }],
      },
    ],
  };
  gateway = await startGatewayProcess(config);
});

afterEach(release);

afterAll(async () => {
  await gateway.close();
  await connector.close();
  token.remove();
  rmSync(folder, { recursive: true, force: true });
});

function release(): void {
  for (const pid of stopped) process.kill(pid, 'SIGCONT');
  stopped.clear();
}

const workers = (): string[] => [...childrenOf(gateway.pid).workers.keys()].sort();

const act = (path: string, body: Record<string, unknown>): Promise<Answer> =>
  ask(gateway.adminUrl, 'POST', path, { why: 'test', ...body });

/** Asks every worker, while the test stops all others, and returns their common answer. */
async function askWorkers(path = '/any'): Promise<string[]> {
  const all = childrenOf(gateway.pid).workers;
  const answers: string[] = [];
  for (const asked of all.values()) {
    for (const pid of all.values()) {
      if (pid === asked) continue;
      stopped.add(pid);
      process.kill(pid, 'SIGSTOP');
    }
    const { status, code = 'no fault' } = await post(`${gateway.url}${path}`, 'MILLER');
    const plain = await fetch(`${gateway.url}${path}`, {
      headers: { connection: 'close', soapuser: 'MILLER' },
    });
    const text = await plain.text();
    const [type, retryAfter] = ['content-type', 'retry-after'].map((name) => plain.headers.get(name));
    answers.push(`${status} ${code}`, `${plain.status} ${type} ${retryAfter} ${text}`);
    release();
  }
  return [...new Set(answers)];
}

/** The state as reported by both workers (page and Fault), the admin API and SAPControl. */
async function expectMaintenance(): Promise<void> {
  await eventually(
    async () =>
      expect(await askWorkers()).toEqual(['503 GW_MAINTENANCE', `503 text/html; charset=utf-8 90 ${PAGE}`]),
    PATIENT,
  );
  await eventually(async () => {
    const ready = await fetch(`${gateway.adminUrl}/readyz`);
    expect([ready.status, (await gateway.status()).state]).toEqual([503, 'Maintenance']);
    expect(colourOf(await callSapControl('GetProcessList', { socketPath }))).toBe('YELLOW Maintenance');
  }, PATIENT);
}

async function expectService(): Promise<void> {
  await eventually(async () => {
    const [soap] = await askWorkers();
    expect(soap).toBe('200 no fault');
    expect((await gateway.status()).state).toBe('Running');
  }, PATIENT);
}

/** Sends SIGKILL; resolves when a successor is running. */
async function replace(role: 'worker' | 'controller'): Promise<void> {
  const of = (): (number | undefined)[] => {
    const children = childrenOf(gateway.pid);
    return role === 'controller' ? [children.controller] : [...children.workers.values()];
  };
  const [killed] = of();
  process.kill(killed as number, 'SIGKILL');
  await eventually(() => {
    expect(of().filter((pid) => pid !== undefined && pid !== killed)).toHaveLength(role === 'worker' ? 2 : 1);
  }, PATIENT);
}

test('a gateway with an embedded store says once that no other gateway knows its agents', async () => {
  const warnings = gateway.log.filter(({ msg }) => String(msg).startsWith('the store is embedded'));
  expect(warnings).toMatchObject([{ level: 40, msg: expect.stringContaining('would split every agent') }]);
  expect((await gateway.status()).shared).toBe(false);
});

test('every process and its successors report maintenance until a reload', async () => {
  await expectService();
  expect((await act('/maintenance', { on: true })).body).toEqual({ state: 'Maintenance' });
  await expectMaintenance();
  await act('/maintenance', { on: false });
  await expectService();

  const [node, ...main] = PROGRAM as [string, ...string[]];
  const at = ['--admin', gateway.adminUrl, '--token-file', token.path, '--why', 'patch'];
  const { stdout } = await promisify(execFile)(node, [...main, 'admin', 'maintenance', 'on', ...at]);
  expect(JSON.parse(stdout)).toEqual({ state: 'Maintenance' });
  await expectMaintenance();
  const { total } = connector.deliveries.report(false);
  await replace('worker');
  await expectMaintenance();
  await replace('controller');
  await expectMaintenance();
  expect(connector.deliveries.report(false).total).toBe(total);

  gateway.configure({ ...config, timeouts: { total: '50s' } });
  const reloaded = await promisify(execFile)(node, [...main, 'reload', ...at]);
  expect(JSON.parse(reloaded.stdout)).toMatchObject({ changes: ['timeouts.total: 1m → 50s'] });
  await eventually(
    () => expect(gateway.log.map(({ msg }) => msg)).toContain('the processes are replaced'),
    PATIENT,
  );
  await expectService();
});

/** Makes every process log a line with this mark at level `info`. */
async function mark(): Promise<string> {
  marks += 1;
  const text = `mark-${marks}.`;
  await askWorkers(`/${text}`);
  await act('/maintenance', { on: true, why: text });
  await act('/maintenance', { on: false, why: text });
  return text;
}

/** The processes that have logged a mark. */
function voices(text: string): string[] {
  const lines = gateway.log.filter((line) => JSON.stringify(line).includes(text));
  return [...new Set(lines.map(({ child }) => String(child ?? 'supervisor')))].sort();
}

test('SIGUSR1 and SIGUSR2 change the log level of every process and of its successors', {
  tags: 'long',
}, async () => {
  const everyone = (): string[] => ['controller', 'supervisor', ...workers()];
  const loud = await mark();
  await eventually(() => expect(voices(loud)).toEqual(everyone()));

  gateway.signal('SIGUSR1');
  await eventually(() =>
    expect(gateway.log.find(({ msg }) => msg === 'log level')).toMatchObject({
      before: 'info',
      level: 'warn',
    }),
  );
  await replace('worker');
  await replace('controller');
  await expectService();
  const quiet = await mark();

  gateway.signal('SIGUSR2');
  await eventually(async () => {
    const again = await mark();
    await eventually(() => expect(voices(again)).toEqual(everyone()), { within: 1_000 });
  }, PATIENT);
  // Earlier log lines are written first.
  expect(voices(quiet)).toEqual([]);
});
