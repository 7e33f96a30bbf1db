import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startLoad, users } from '../support/load.ts';
import { freePort } from '../support/redis-server.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function opened<T extends { close(): unknown }>(opening: Promise<T>): Promise<T> {
  const one = await opening;
  closers.push(() => one.close());
  return one;
}

test('a peer relays while all its processes are replaced: no request fails, and no agent moves', {
  tags: 'long',
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-test-'));
  closers.push(() => rmSync(directory, { recursive: true }));
  const keyFile = join(directory, 'peers.key');
  writeFileSync(keyFile, randomBytes(32).toString('hex'), { mode: 0o600 });
  const [a, b] = (await Promise.all(['a', 'b'].map((name) => opened(startConnector({ name }))))) as [
    SimulatedConnector,
    SimulatedConnector,
  ];
  const link = await startFaultProxy(() => ({ host: a.host, port: a.port }));
  const keyPrefix = `relay-${randomBytes(4).toString('hex')}`;
  const [cut, peer] = (await Promise.all(
    [`http://${link.host}:${link.port}`, a.url].map(async (url) =>
      opened(
        startGatewayProcess({
          workers: 1,
          pools: [
            {
              name: 'ici',
              mode: 'sticky',
              health: { path: '/health', timeout: '5s' },
              instances: [
                { id: 'a', url, commonUrl: a.url },
                { id: 'b', url: b.url },
              ],
            },
          ],
          affinity: { keyPrefix, redis: { url: inject('redisUrl') } },
          peers: { address: `127.0.0.1:${await freePort()}`, keyFile },
          timeouts: { park: '30s' },
        }),
      ),
    ),
  )) as [GatewayProcess, GatewayProcess];
  const load = startLoad([cut.url], users(20, 'AGENT'), 50);
  await eventually(() => expect(load.outcomes.length).toBeGreaterThan(100), { within: 30_000 });

  await link.close();
  const cutAt = performance.now();
  const relayed = (): number => peer.log.filter(({ msg }) => msg === 'relayed a request for a peer').length;
  await eventually(() => expect(relayed()).toBeGreaterThan(50), { within: 30_000 });
  peer.signal('SIGHUP');
  await eventually(
    () => expect(peer.log.some(({ msg }) => msg === 'the processes are replaced')).toBe(true),
    { within: 60_000 },
  );
  const before = relayed();
  await eventually(() => expect(relayed()).toBeGreaterThan(before + 50), { within: 30_000 });
  const outcomes = await load.stop();

  // Those under way when the connections broke may have been written.
  const failed = outcomes.filter(({ status, startedAt }) => status !== 200 && startedAt > cutAt);
  expect(failed).toEqual([]);
  const places = new Map<string, Set<string | undefined>>();
  for (const { user, connector } of outcomes.filter(({ status }) => status === 200))
    places.set(user, (places.get(user) ?? new Set()).add(connector));
  expect([...places].filter(([, connectors]) => connectors.size > 1)).toEqual([]);
});
