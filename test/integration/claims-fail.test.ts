import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import type { ChoosyProxy } from '../support/choosy-proxy.ts';
import { startChoosyProxy } from '../support/choosy-proxy.ts';
import { eventually } from '../support/eventually.ts';
import type { Outcome } from '../support/load.ts';
import { post, users } from '../support/load.ts';
import { stopwatch } from '../support/processor-wait.ts';
import { startRedis } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

// Words of all scripts on bindings and of no others; on a connection's first use, the script text itself is sent.
const BINDINGS = 'local function write_note(';
const HEARING = '\r\nsubscribe\r\n';
// Long enough that a busy machine does not end it: a gateway without one places new agents alone.
const LEASE_MS = 3_000;
const KNOWN = users(5, 'KNOWN');

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

interface Site {
  readonly gateway: TestGateway;
  readonly peer: TestGateway;
  readonly proxy: ChoosyProxy;
  /** The instances of the agents that both gateways know. */
  readonly places: readonly (string | undefined)[];
}

/** One gateway whose connections go through the proxy, and one whose do not. */
async function start(redisPort: number): Promise<Site> {
  const connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  for (const connector of connectors) closers.push(() => connector.close());
  const proxy = await startChoosyProxy(redisPort, [BINDINGS, HEARING]);
  closers.push(() => proxy.close());
  const keyPrefix = `claims-fail-${randomBytes(4).toString('hex')}`;
  const instances = connectors.map(({ url }, i) => `{ id: ${'ab'[i]}, url: '${url}' }`).join(', ');
  const config = (port: number): string => `
pools: [{ name: ici, mode: sticky, health: { path: /health, interval: 200ms, fastInterval: 50ms }, instances: [${instances}] }]
coordination: { lease: ${LEASE_MS}ms }
affinity: { keyPrefix: ${keyPrefix}, redis: { url: 'redis://127.0.0.1:${port}/0' } }
timeouts: { park: 800ms }
`;
  const open = async (port: number): Promise<TestGateway> => {
    const gateway = await startTestGateway(config(port));
    closers.push(() => gateway.close());
    return gateway;
  };
  const [gateway, peer] = await Promise.all([open(proxy.port), open(redisPort)]);
  // A busy machine can cost a gateway its lease at first.
  const places = await eventually(async () => {
    const connectors = (await postAll(gateway)).map(({ connector }) => connector);
    expect(connectors).not.toContain(undefined);
    return connectors;
  });
  return { gateway, peer, proxy, places };
}

function postAll({ url }: TestGateway): Promise<Outcome[]> {
  return Promise.all(KNOWN.map((user) => post(url, user)));
}

async function readyz({ adminUrl }: TestGateway): Promise<string> {
  const response = await fetch(`${adminUrl}/readyz`);
  return `${response.status} ${await response.text()}`;
}

async function isAvailable({ adminUrl }: TestGateway): Promise<string | undefined> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return /^gateway_affinity_available\{pool="ici"\} (\d)$/m.exec(text)?.[1];
}

function logged({ log }: TestGateway, part: string): number {
  return log.filter(({ msg }) => msg.includes(part)).length;
}

async function expectTrouble({ gateway, peer, places }: Site, reason: RegExp): Promise<void> {
  const tookMs = stopwatch();
  const early = post(gateway.url, 'EARLY');
  const known = await postAll(gateway);
  expect(known.map(({ connector }) => connector)).toEqual(places);
  expect((await early).status).toBe(503);
  await eventually(async () =>
    expect(await readyz(gateway)).toMatch(/^503 Isolated\nclaims fail for pool ici: /),
  );
  expect(tookMs()).toBeLessThan(LEASE_MS / 2 + 2_000);
  await eventually(async () => expect(await readyz(gateway)).toMatch(reason));
  expect(await isAvailable(gateway)).toBe('0');
  const [pool] = gateway.status().pools;
  expect(pool?.standing).toBe('leased');
  expect(pool?.affinity).toMatchObject({
    available: false,
    claimsFail: { error: expect.stringMatching(reason) },
  });
  expect((await post(peer.url, 'OTHER')).status).toBe(200);
  expect(await readyz(peer)).toMatch(/^200/);

  expect(logged(gateway, 'claims fail here')).toBe(1);
  expect((await postAll(gateway)).map(({ connector }) => connector)).toEqual(places);
  expect(gateway.requests().filter(({ decision }) => decision === 'storeless')).toEqual([]);
}

async function expectRecovery({ gateway, peer }: Site): Promise<void> {
  await eventually(async () => expect(await readyz(gateway)).toBe('200 Running\n'));
  expect(await isAvailable(gateway)).toBe('1');
  expect(logged(gateway, 'claims are answered again')).toBe(1);
  const { connector } = await post(peer.url, 'AFTERWARDS');
  expect(await post(gateway.url, 'AFTERWARDS')).toMatchObject({ status: 200, connector });
}

describe('a gateway whose claims fail while the view store answers', () => {
  test('serves known agents, is unready, reports the failure to new agents, and recovers', async () => {
    const site = await start(Number(new URL(inject('redisUrl')).port));
    const since = performance.now();
    site.proxy.refuse([BINDINGS, HEARING]);
    await expectTrouble(site, /redis: /);
    expect(await post(site.gateway.url, 'NEW')).toMatchObject({
      status: 503,
      code: 'GW_BINDING_UNAVAILABLE',
    });
    // Backoff: twice a second from the fourth attempt; without it there were eighteen.
    const attempts = site.proxy.ended.get(HEARING) ?? 0;
    expect(attempts).toBeGreaterThan(1);
    expect(attempts).toBeLessThan(7 + (performance.now() - since) / 250);
    site.proxy.refuse([]);
    await expectRecovery(site);
  });

  test('reports the error of a Redis that accepts no more connections', { tags: 'long' }, async () => {
    const redis = await startRedis();
    closers.push(() => redis.stop());
    const site = await start(redis.port);
    const operator = connect(redis.port, '127.0.0.1');
    closers.push(async () => void operator.destroy());
    const tell = (command: string): Promise<void> =>
      new Promise((resolve) => {
        operator.once('data', (data) => {
          expect(String(data)).toBe('+OK\r\n');
          resolve();
        });
        operator.write(`${command}\r\n`);
      });
    await tell('CONFIG SET maxclients 1');
    site.proxy.drop([BINDINGS, HEARING]);
    await expectTrouble(site, /redis: /);
    await tell('CONFIG SET maxclients 10000');
    await expectRecovery(site);
  });
});
