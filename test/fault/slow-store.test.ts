import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { PoolStatus } from '../../src/core/gateway-status.ts';
import type { ConnectorProcess } from '../../src/simulator/connector-process.ts';
import { startConnectorProcess } from '../../src/simulator/connector-process.ts';
import type { FaultProxy } from '../chaos/fault-proxy.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { post } from '../support/load.ts';
import { waitedSince } from '../support/processor-wait.ts';
import { report } from '../support/report.ts';

// Probes find a dead instance within 2 s, and a lease is 3 s. When views waited for the slow gateway, it took 14 to 25 s.
const USUAL_MS = 7_000;

let instances: ConnectorProcess[];
let storeLink: FaultProxy;
let gateways: GatewayProcess[];

beforeEach(async () => {
  instances = await Promise.all(['a', 'b'].map((name) => startConnectorProcess({ name })));
  const redis = new URL(inject('redisUrl'));
  storeLink = await startFaultProxy(() => ({ host: redis.hostname, port: Number(redis.port) }));
  const keyPrefix = `slow-${randomBytes(4).toString('hex')}`;
  const urls = [`redis://${storeLink.host}:${storeLink.port}`, redis.href, redis.href];
  gateways = await Promise.all(
    urls.map((url) =>
      startGatewayProcess({
        pools: [
          {
            name: 'ici',
            mode: 'failover',
            health: { path: '/health', interval: '500ms' },
            instances: instances.map(({ name: id, url: at }) => ({ id, url: at })),
          },
        ],
        affinity: { keyPrefix, redis: { url } },
      }),
    ),
  );
});

afterEach(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await storeLink.close();
  await Promise.all(instances.map((instance) => instance.close()));
});

async function poolOf(gateway: GatewayProcess): Promise<PoolStatus> {
  const { pools } = await gateway.status();
  return pools[0] as PoolStatus;
}

test('a view without a dead instance is in effect as soon as always while Redis answers one of three gateways slowly', {
  tags: 'long',
}, async () => {
  const [, ...fast] = gateways;
  for (const { url } of fast) expect(await post(url, 'MILLER')).toMatchObject({ connector: 'a' });
  storeLink.delay(120, 300);

  const waited = waitedSince([process.pid, ...gateways.map(({ pid }) => pid)]);
  const killedAt = performance.now();
  await instances[0]?.kill();
  await eventually(
    async () => {
      for (const gateway of fast) {
        const { active, view } = await poolOf(gateway);
        expect([active?.instance, view.effective]).toEqual(['b', true]);
      }
    },
    { within: 30_000, every: 20 },
  );
  const tookMs = performance.now() - killedAt - waited();

  report(
    `an instance killed, one of three gateways 120 to 300 ms from Redis: in effect after ${Math.round(tookMs)} ms`,
  );
  expect(tookMs).toBeLessThan(USUAL_MS);
  // The slow gateway acts on the same view as the others.
  for (const { url } of gateways) {
    await eventually(async () => expect(await post(url, 'MILLER')).toMatchObject({ connector: 'b' }), {
      within: 15_000,
      every: 100,
    });
  }
});
