import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HistoryPart } from '../../src/core/history/pool-history.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import { post } from '../support/load.ts';
import { ask } from '../support/operator.ts';

/** A gateway of several processes adds up what its workers count in each second. */

const AGENTS = 40;

let connector: SimulatedConnector;
let gateway: GatewayProcess;

beforeAll(async () => {
  connector = await startConnector({ name: 'a' });
  gateway = await startGatewayProcess({
    workers: 2,
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
  });
});

afterAll(async () => {
  await gateway.close();
  await connector.close();
});

async function history(): Promise<HistoryPart> {
  const { status, body } = await ask(
    gateway.adminUrl,
    'GET',
    '/pools/ici/history?step=second&from=1m',
    undefined,
    '',
  );
  expect(status).toBe(200);
  return body;
}

const sumOf = (values: readonly (number | null)[] | undefined): number =>
  (values ?? []).reduce<number>((sum, value) => sum + (value ?? 0), 0);

test('the requests of all workers are in it, once each; a worker that hangs leaves a gap', {
  tags: 'long',
}, async () => {
  // Requests before the first whole second are not counted.
  await eventually(async () => expect((await history()).knownSeconds).toContain(1));
  const outcomes = await Promise.all(
    Array.from({ length: AGENTS }, (_, i) => post(gateway.url, `AGENT${i}`)),
  );
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set([200]));
  const counted = await eventually(async () => {
    const part = await history();
    expect(sumOf(part.answers['2xx'])).toBe(AGENTS);
    expect(part.instances['a']?.agents.findLast((agents) => agents !== null)).toBe(AGENTS);
    return part;
  });
  expect([sumOf(counted.instances['a']?.requests), sumOf(counted.instances['a']?.failures)]).toEqual([
    AGENTS,
    0,
  ]);
  expect(counted.latency['p99']?.some((ms) => ms !== null && ms > 0)).toBe(true);

  const [stopped] = [...childrenOf(gateway.pid).workers.values()] as [number];
  process.kill(stopped, 'SIGSTOP');
  const interrupted = await eventually(async () => {
    const part = await history();
    // The last two seconds are not due yet.
    expect(part.knownSeconds.slice(0, -2).lastIndexOf(0)).toBeGreaterThan(part.knownSeconds.indexOf(1));
    return part;
  });
  process.kill(stopped, 'SIGCONT');
  expect(sumOf(interrupted.answers['2xx'])).toBe(AGENTS);
  expect(interrupted.answers['2xx']?.map((requests) => requests !== null)).toEqual(
    interrupted.knownSeconds.map((known) => known > 0),
  );
});
