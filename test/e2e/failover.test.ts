import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ConnectorProcess } from '../../src/simulator/connector-process.ts';
import { startConnectorProcess } from '../../src/simulator/connector-process.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import type { Outcome } from '../support/load.ts';
import { post, users } from '../support/load.ts';

let connectors: [ConnectorProcess, ConnectorProcess, ConnectorProcess];
let gateways: GatewayProcess[];
let config: Record<string, unknown>;

beforeAll(async () => {
  connectors = await Promise.all([
    startConnectorProcess({ name: 'a' }),
    startConnectorProcess({ name: 'b' }),
    startConnectorProcess({ name: 'c' }),
  ]);
  config = {
    pools: [
      {
        name: 'ici',
        mode: 'failover',
        health: { path: '/health', interval: '300ms', fastInterval: '100ms' },
        // Not in the listed order.
        instances: connectors.map(({ name, url }, i) => ({ id: name, url, priority: [2, 1, 3][i] })),
      },
    ],
    coordination: { lease: '600ms' },
    affinity: { keyPrefix: `failover-${randomBytes(4).toString('hex')}`, redis: { url: inject('redisUrl') } },
  };
  gateways = await Promise.all([startGatewayProcess(config), startGatewayProcess(config)]);
});

afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all(connectors.map((connector) => connector.close()));
});

/** Sends for thirty agents through every gateway; returns the instances that answered. */
async function answering(): Promise<Set<string | undefined>> {
  const outcomes: Outcome[] = await Promise.all(
    users(30, 'AGENT').flatMap((user) => gateways.map(({ url }) => post(url, user))),
  );
  expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
  return new Set(outcomes.map(({ connector }) => connector));
}

const healthOf = async (gateway: GatewayProcess, id: string): Promise<string | undefined> =>
  (await gateway.status()).pools[0]?.instances.find((instance) => instance.id === id)?.health;

const everywhere = (id: string, health: string): Promise<void> =>
  eventually(async () => {
    for (const gateway of gateways) expect(await healthOf(gateway, id)).toBe(health);
  });

// The order matters: each test continues with the state of the previous one.
describe('a failover pool', () => {
  test('sends all agents, through every gateway, to the instance with the lowest priority number', async () => {
    expect(await answering()).toEqual(new Set(['b']));
  });

  test('does not parse bodies, and serves requests that name no agent', async () => {
    const [gateway] = gateways as [GatewayProcess];
    const response = await fetch(`${gateway.url}/health`);
    expect(((await response.json()) as { name: string }).name).toBe('b');
  });

  test('fails over to the next instance when the active one crashes, and stays there when it returns', async () => {
    const [, b] = connectors;
    expect(await answering()).toEqual(new Set(['b']));
    await b.kill();
    expect(await answering()).toEqual(new Set(['a']));

    await b.restart();
    await everywhere('b', 'up');
    expect(await answering()).toEqual(new Set(['a']));
  });

  test('has the same active instance at a gateway that starts after the failover', async () => {
    gateways.push(await startGatewayProcess(config));
    expect(await answering()).toEqual(new Set(['a']));
  });

  test('fails over as long as any instance is left', async () => {
    const [a, b] = connectors;
    await Promise.all([a.kill(), b.kill()]);
    expect(await answering()).toEqual(new Set(['c']));
  });
});
