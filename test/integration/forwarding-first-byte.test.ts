import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { FaultProxy } from '../chaos/fault-proxy.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { eventually } from '../support/eventually.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, soapPost, WireClient, WireUpstream } from '../support/wire.ts';
import { CERTIFICATE, KEY } from '../unit/config/tls-fixture.ts';

/**
 * A target is found, and the connection to the instance takes long: a TLS handshake waits for its answer. Changes
 * in that time must be seen right before the first byte of the request is written.
 */

let closers: (() => unknown)[] = [];
/** In front of instance a: it holds handshakes while it is silent. */
let link: FaultProxy;
let a: WireUpstream;
let b: WireUpstream;
let gateway: TestGateway;

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

async function start(options: string): Promise<void> {
  [a, b] = [await WireUpstream.start({ tls: { cert: CERTIFICATE, key: KEY } }), await WireUpstream.start()];
  const { port } = a;
  link = await startFaultProxy(() => ({ host: '127.0.0.1', port }));
  const token = writeTokenFile();
  closers.push(
    () => a.close(),
    () => b.close(),
    () => link.close(),
    () => token.remove(),
  );
  // Each instance is probed once: any connection held after that is a request.
  gateway = await startTestGateway(
    `
pools:
  - name: ici
    mode: failover
    health: { path: /health, interval: 1h, timeout: 10s }
    instances:
      - { id: a, url: 'https://127.0.0.1:${link.port}', tls: { verify: false } }
      - { id: b, url: '${b.url}' }
timeouts: { connect: 30s, park: 300ms }
${options}`,
    { env: token.env },
  );
  closers.push(() => gateway.close());
}

/** Sends a request whose target is a, and which cannot be written yet. */
async function connecting(): Promise<WireClient> {
  link.silence();
  const client = (await WireClient.open(gateway.port)).send(soapPost('/', ENVELOPE));
  closers.push(() => client.leave());
  await eventually(() =>
    expect(gateway.status().pools[0]?.instances).toMatchObject([{ id: 'a', inFlight: 1 }, { id: 'b' }]),
  );
  return client;
}

describe('a request whose connection is still being made', () => {
  test('goes to the target of the view at the time of the connection', async () => {
    await start('');
    const client = await connecting();
    const change = { by: 'me', why: 'test', instance: 'b' };
    expect((await ask(gateway.adminUrl, 'POST', '/pools/ici/activate', change)).status).toBe(200);
    link.heal();
    expect((await client.response()).status).toBe(200);
    expect([a.requests.length, b.requests.length]).toEqual([0, 1]);
    await eventually(() => expect(gateway.requests()).toMatchObject([{ instance: 'b', attempts: 2 }]));
  });

  test('is not sent if the lease has ended meanwhile', async () => {
    const redis: RedisServer = await startRedis();
    closers.push(() => redis.stop());
    const keyPrefix = `first-byte-${randomBytes(4).toString('hex')}`;
    await start(`coordination: { lease: 600ms }
affinity: { onStoreLoss: refuse, keyPrefix: ${keyPrefix}, redis: { url: '${redis.url}' } }`);
    const client = await connecting();
    await redis.kill();
    await eventually(() => expect(gateway.status().pools[0]?.standing).toBe('waiting'));
    link.heal();
    const { status, body } = await client.response();
    expect([status, /GW_\w+/.exec(body.toString())?.[0]]).toEqual([503, 'GW_AFFINITY_UNAVAILABLE']);
    expect([a.requests.length, b.requests.length]).toEqual([0, 0]);
  });
});
