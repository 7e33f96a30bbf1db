import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import type { GatewayLine } from '../../src/core/gateways.ts';
import { VERSION } from '../../src/package.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import { startBareReplica } from '../support/bare-replica.ts';
import { eventually } from '../support/eventually.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let token: TokenFile;
let connector: SimulatedConnector;
let keyPrefix: string;
const gateways: TestGateway[] = [];

beforeAll(async () => {
  token = writeTokenFile();
  connector = await startConnector({ name: 'a' });
});
afterAll(async () => {
  await connector.close();
  token.remove();
});
beforeEach(() => {
  keyPrefix = uniquePrefix();
});
afterEach(async () => {
  await Promise.all(gateways.splice(0).map((gateway) => gateway.close()));
});

async function start(store = `redis: { url: '${inject('redisUrl')}' }`): Promise<TestGateway> {
  const config = `
pools:
  - name: ici
    mode: sticky
    health: { path: /health, interval: 200ms, fastInterval: 50ms }
    instances: [{ id: a, url: '${connector.url}' }]
affinity: { keyPrefix: ${keyPrefix}, ${store} }
coordination: { lease: 900ms }
workers: 0
`;
  const gateway = await startTestGateway(config, { env: token.env });
  gateways.push(gateway);
  return gateway;
}

interface Listing {
  readonly gateways: readonly GatewayLine[];
  readonly partial: boolean;
  readonly reason: string | null;
}

async function list({ adminUrl }: TestGateway): Promise<Listing> {
  const { status, body } = await ask(adminUrl, 'GET', '/gateways');
  expect(status).toBe(200);
  return body;
}

const replicaOf = (gateway: TestGateway): string => gateway.status().replica;

describe('the list of gateways', () => {
  test('shows at each gateway all of them, and follows their states', async () => {
    const [one, two] = await Promise.all([start(), start()]);
    for (const [asked, other] of [
      [one, two],
      [two, one],
    ] as const) {
      await eventually(async () => {
        const listing = await list(asked);
        const [first, second] = listing.gateways;
        expect(listing).toMatchObject({ partial: false, reason: null });
        expect(listing.gateways).toHaveLength(2);
        const own = { version: VERSION, state: 'Running', workers: 0, admin: null };
        const pool = {
          pool: 'ici',
          standing: 'leased',
          abstains: false,
          down: [],
          cutOff: [],
          differences: [],
        };
        expect(first).toMatchObject({ ...own, replica: replicaOf(asked), self: true, seenSecondsAgo: 0 });
        expect(second).toMatchObject({ ...own, replica: replicaOf(other), self: false });
        for (const { pools } of listing.gateways) expect(pools).toMatchObject([pool]);
        expect(second?.seenSecondsAgo).toBeLessThanOrEqual(2);
        expect(second?.pools[0]?.leaseRemainingMs).toBeLessThanOrEqual(900);
      });
    }
    await ask(two.adminUrl, 'POST', '/maintenance', { why: 'patch', by: 'ops', on: true });
    await eventually(async () =>
      expect((await list(one)).gateways[1]).toMatchObject({ state: 'Maintenance' }),
    );

    await two.close();
    gateways.splice(gateways.indexOf(two), 1);
    // The view store may still tell of it until the next sync.
    await eventually(async () =>
      expect((await list(one)).gateways.map(({ replica }) => replica)).toEqual([replicaOf(one)]),
    );
  });

  test('shows what the view store knows of a gateway whose release writes no entry', async () => {
    const one = await start();
    const redis: RedisConnection = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl') });
    await eventually(() => redis.ping());
    const earlier = await startBareReplica(redis, {
      id: 'earlier-1',
      pool: 'ici',
      keyPrefix,
      instances: ['a'],
      leaseMs: 900,
    });
    try {
      await eventually(async () => {
        const [, line] = (await list(one)).gateways;
        expect(line).toMatchObject({
          replica: 'earlier-1',
          self: false,
          version: null,
          state: null,
          workers: null,
          startedAt: null,
          admin: null,
          seenSecondsAgo: null,
          pools: [{ pool: 'ici', standing: null, leaseRemainingMs: null, abstains: false, cutOff: null }],
        });
      });
    } finally {
      await earlier.close();
      await redis.close();
    }
  });

  test('shows only the asked gateway, and says why, while the store is away', async () => {
    const redis = await startRedis();
    const store = `redis: { url: '${redis.url}' }`;
    const [one] = await Promise.all([start(store), start(store)]);
    await eventually(async () => expect((await list(one)).gateways).toHaveLength(2));
    await redis.kill();
    const { gateways: listed, partial, reason } = await list(one);
    expect([partial, reason]).toEqual([true, expect.stringContaining('the store is away')]);
    expect(listed).toMatchObject([{ replica: replicaOf(one), self: true }]);
    await redis.stop();
  });

  test('of a gateway with an embedded store has that one only', async () => {
    const one = await start('store: embedded');
    expect(await list(one)).toMatchObject({
      partial: false,
      gateways: [{ replica: replicaOf(one), self: true }],
    });
  });
});

test('an act that names the view that the operator saw is done once, also if two gateways get it at once', async () => {
  const both = await Promise.all([start(), start()]);
  const viewOf = (gateway: TestGateway): string => gateway.status().pools[0]?.view.id ?? '';
  const ifView = await eventually(() => {
    const [one = '', two] = both.map(viewOf);
    expect(one).not.toBe('');
    expect(one).toBe(two);
    return one;
  });
  const answers = await Promise.all(
    both.map(({ adminUrl }) =>
      ask(adminUrl, 'POST', '/pools/ici/instances/a/drain', { why: 'patch', ifView }),
    ),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  const refused = answers.find(({ status }) => status === 409);
  expect(refused?.body.error).toContain(`the view has changed since ${ifView}`);
});
