import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { PROGRAM } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import { callSapControl, colourOf } from '../support/life-record.ts';
import { post, startLoad, users } from '../support/load.ts';
import type { ServiceManager } from '../support/service-manager.ts';
import { startServiceManager } from '../support/service-manager.ts';

// On a busy machine a process takes several times as long to start.
const PATIENT = { within: 90_000 };
const HOST = '127.0.0.1';

let folder: string;
let connector: SimulatedConnector;
let manager: ServiceManager;
let url: string;
let adminUrl: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ici-activation-'));
  connector = await startConnector({ name: 'a' });
  const file = join(folder, 'gateway.yaml');
  const config = {
    workers: 2,
    // The addresses of the service manager apply, not these.
    listen: { address: `${HOST}:1` },
    admin: { address: `${HOST}:2` },
    sapcontrol: { address: `${HOST}:3`, socket: join(folder, '.sapstream50013') },
    affinity: { stateDir: folder },
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        health: { path: '/health' },
        instances: [{ id: 'a', url: connector.url }],
      },
    ],
  };
  // JSON is YAML too.
  writeFileSync(file, JSON.stringify(config));
  manager = await startServiceManager([...PROGRAM, 'start', '--config', file]);
  url = `http://${HOST}:${manager.ports.data}`;
  adminUrl = `http://${HOST}:${manager.ports.admin}`;
});

afterAll(async () => {
  await manager.close();
  await connector.close();
  rmSync(folder, { recursive: true, force: true });
});

const starts = (): number => manager.log.filter(({ msg }) => msg === 'listening').length;

/** The pid of the last started program. */
const supervisor = (): number => Number(manager.log.findLast(({ msg }) => msg === 'listening')?.['pid']);

async function untilReady(start: number): Promise<void> {
  await eventually(() => expect(starts()).toBe(start), PATIENT);
  await eventually(async () => expect((await fetch(`${adminUrl}/readyz`)).status).toBe(200), PATIENT);
}

test('a client that connects before the start waits for the gateway, at each of its sockets', async () => {
  let sent = 0;
  const early = users(20, 'AGENT').map((user) =>
    post(url, user, {}, 'subscribe', {
      giveUpMs: PATIENT.within,
      onSent: () => {
        sent += 1;
      },
    }),
  );
  const status = fetch(`${adminUrl}/status`).then((response) => response.json());
  const processes = callSapControl('GetProcessList', { host: HOST, port: manager.ports.sapcontrol });
  await eventually(() => expect(sent).toBe(early.length));
  manager.start();

  const outcomes = await Promise.all(early);
  expect(outcomes.map((outcome) => outcome.status)).toEqual(early.map(() => 200));
  expect(await status).toMatchObject({ pools: [{ name: 'ici' }] });
  expect(colourOf(await processes)).toMatch(/^(YELLOW Starting|GREEN Running)$/);
  await untilReady(1);
  expect(manager.log.find(({ msg }) => msg === 'listening')).toMatchObject({ address: url });
  expect(childrenOf(supervisor()).workers.size).toBe(2);
});

test('a stop and start by the service manager refuses no connection and fails no request', async () => {
  const load = startLoad([url], users(6, 'AGENT'), 20);
  try {
    await eventually(() => expect(load.outcomes.length).toBeGreaterThan(30), PATIENT);
    process.kill(supervisor(), 'SIGTERM');
    await eventually(
      () => expect(manager.log.at(-1)).toMatchObject({ msg: 'program ended', status: 0, signal: null }),
      PATIENT,
    );
    manager.start();
    await untilReady(2);
    const before = load.outcomes.length;
    await eventually(() => expect(load.outcomes.length).toBeGreaterThan(before + 30), PATIENT);
  } finally {
    await load.stop();
  }
  expect(load.outcomes.filter(({ status }) => status !== 200)).toEqual([]);
});
