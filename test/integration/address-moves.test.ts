import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { LocalViewStore } from '../../src/coordination/local-view-store.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import type { Upstream } from '../../src/proxy/upstream.ts';
import { startGateway } from '../../src/wiring/gateway.ts';
import { sendAttempt } from '../support/attempts.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/redis-server.ts';

/** The host name of an instance gets another address while the old host keeps running. */

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

/** The requests in order of arrival, with the address and whether it was a probe. */
const arrived: { at: string; probe: boolean }[] = [];
let held: ServerResponse[] = [];

async function host(address: string, port: number): Promise<void> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    arrived.push({ at: address, probe: request.url === '/health' });
    if (request.url === '/held') held.push(response);
    else response.end('ok');
  });
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  opened.push({
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  });
}

test('traffic and probes move to it together, whatever connections are open; pending requests are answered', async () => {
  arrived.length = 0;
  held = [];
  const port = await freePort();
  await host('127.0.0.1', port);
  await host('127.0.0.2', port);
  const { config } = loadConfig({
    text: `listen: { address: '127.0.0.1:0' }
admin: { address: '127.0.0.1:0' }
timeouts: { resolve: 100ms }
pools:
  - name: ici
    mode: failover
    health: { path: /health, interval: 50ms, fastInterval: 20ms }
    instances: [{ id: a, url: 'http://instance.test:${port}' }]`,
    env: { HOME: '/tmp' },
  });
  let address = '127.0.0.1';
  const store = {
    listen: () => undefined,
    counts: async () => new Map(),
    restore: async () => [],
    close: async () => undefined,
  } as unknown as AffinityStore;
  const gateway = await startGateway(config, pino({ level: 'silent' }), {
    openStores: async () => ({
      isShared: false,
      gateways: undefined,
      version: async () => 'embedded',
      open: () => store,
      viewStore: () => new LocalViewStore({ leaseMs: 0, joinMs: 0 }),
      close: async () => undefined,
    }),
    resolve: async () => [address],
  });
  opened.push(gateway);
  const [pool] = gateway.pools;
  await eventually(() => expect(pool?.routingState.view.instances.get('a')?.health).toBe('up'));
  const upstream = pool?.upstreams.get('a') as Upstream;
  const waiting = sendAttempt(upstream, { method: 'GET', path: '/held' });
  await eventually(() => expect(held).toHaveLength(1));

  // Traffic without a pause, so that its connection is never idle for long.
  const of = (at: string): number => arrived.filter((one) => one.at === at && !one.probe).length;
  for (let i = 0; i < 3; i += 1)
    expect(await sendAttempt(upstream, { method: 'GET', path: '/' }).outcome).toBe('answered');
  expect([of('127.0.0.1'), of('127.0.0.2')]).toEqual([4, 0]);
  address = '127.0.0.2';
  await eventually(
    async () => {
      expect(await sendAttempt(upstream, { method: 'GET', path: '/' }).outcome).toBe('answered');
      expect(of('127.0.0.2')).toBeGreaterThan(2);
    },
    { every: 1 },
  );

  const first = arrived.findIndex((one) => one.at === '127.0.0.2' && !one.probe);
  expect(arrived.slice(first).filter((one) => one.at === '127.0.0.1' && !one.probe)).toEqual([]);
  const probed = (): string[] => arrived.filter((one) => one.probe).map(({ at }) => at);
  await eventually(() => expect(new Set(probed().slice(-5))).toEqual(new Set(['127.0.0.2'])));
  for (const response of held) response.end('late');
  expect(await waiting.outcome).toBe('answered');
});
