import { randomBytes } from 'node:crypto';
import { Client } from 'undici';
import { afterEach, describe, expect, inject, test } from 'vitest';
import type { PoolStatus } from '../../src/core/gateway-status.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { post, users } from '../support/load.ts';
import { subscribeEnvelope } from '../support/soap.ts';

let connectors: SimulatedConnector[] = [];
let gateways: GatewayProcess[] = [];

afterEach(async () => {
  for (const gateway of gateways) gateway.signal('SIGCONT');
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all(connectors.map((connector) => connector.close()));
});

async function start(mode: 'sticky' | 'failover', lease: string): Promise<void> {
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const config = {
    pools: [
      {
        name: 'ici',
        mode,
        balancer: 'least-bound',
        health: { path: '/health', interval: '300ms', fastInterval: '100ms' },
        instances: connectors.map(({ name, url }) => ({ id: name, url })),
      },
    ],
    coordination: { lease },
    // Connections that survive the pause: the gateway could send over them at once.
    timeouts: { instanceIdle: '1m' },
    affinity: { keyPrefix: `stopped-${randomBytes(4).toString('hex')}`, redis: { url: inject('redisUrl') } },
  };
  gateways = await Promise.all([0, 1, 2].map(() => startGatewayProcess(config)));
}

async function poolAt(gateway: GatewayProcess): Promise<PoolStatus> {
  const { pools } = (await (await fetch(`${gateway.adminUrl}/status`)).json()) as { pools: PoolStatus[] };
  return pools[0] as PoolStatus;
}

/** Down for probes only: it still serves requests of agents. */
const seemsDown = (connector: SimulatedConnector): Promise<void> =>
  connector.behave({ mode: 'unavailable', appliesTo: 'health' });

describe('a paused gateway', () => {
  test('sends nothing to the previously active instance after a pause longer than its lease', async () => {
    await start('failover', '600ms');
    const [one, , stopped] = gateways as [GatewayProcess, GatewayProcess, GatewayProcess];
    const [a] = connectors as [SimulatedConnector];
    // Connections are kept alive on both sides, so that the requests arrive before any news when it continues.
    const clients = Array.from({ length: 10 }, () => new Client(stopped.url));
    const send = async (client: Client): Promise<[number, unknown]> => {
      const body = subscribeEnvelope({ user: 'AGENT' });
      const headers = { 'content-type': 'text/xml' };
      const response = await client.request({ method: 'POST', path: '/ici', headers, body });
      await response.body.dump();
      return [response.statusCode, response.headers['x-connector']];
    };
    expect(await Promise.all(clients.map(send))).toEqual(clients.map(() => [200, 'a']));

    stopped.signal('SIGSTOP');
    const waiting = clients.map(send);
    await seemsDown(a);
    await eventually(
      async () => {
        const { active, view } = await poolAt(one);
        expect([active?.instance, view.effective]).toEqual(['b', true]);
      },
      { within: 30_000 },
    );
    const { total } = a.deliveries.report(false);
    stopped.signal('SIGCONT');
    expect(await Promise.all(waiting)).toEqual(clients.map(() => [200, 'b']));
    expect(a.deliveries.report(false).total).toBe(total);
    await Promise.all(clients.map((client) => client.close()));
  });

  test('delays a new view until its lease has ended, and thereby only the agents that the view moves', {
    tags: 'long',
  }, async () => {
    // Far longer than a busy machine needs from the pause to the last look at the view.
    await start('sticky', '12s');
    const [one, , stopped] = gateways as [GatewayProcess, GatewayProcess, GatewayProcess];
    const [a] = connectors as [SimulatedConnector];
    const placed = await Promise.all(users(10, 'AGENT').map((user) => post(one.url, user)));
    const at = (name: string): string =>
      placed.find(({ connector }) => connector === name)?.user ?? `no agent is at ${name}`;

    stopped.signal('SIGSTOP');
    await seemsDown(a);
    await eventually(async () => expect((await poolAt(one)).view.effective).toBe(false), { within: 30_000 });
    let isServed = false;
    const moved = post(one.url, at('a')).finally(() => {
      isServed = true;
    });
    expect(await post(one.url, at('b'))).toMatchObject({ status: 200, connector: 'b' });
    await eventually(async () => expect((await poolAt(one)).parked).toBe(1));
    expect(isServed).toBe(false);

    stopped.signal('SIGCONT');
    expect(await moved).toMatchObject({ status: 200, connector: 'b' });
    expect(await post(stopped.url, at('a'))).toMatchObject({ status: 200, connector: 'b' });
  });
});
