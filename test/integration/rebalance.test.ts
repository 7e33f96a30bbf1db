import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import { heardWithinMs } from '../../src/core/rebalance.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import type { TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const IDLE_MS = 3_600_000;
const LEASE_MS = 1_000;
const COMMAND_MS = 200;
const HEARD_MS = heardWithinMs(LEASE_MS, COMMAND_MS);
const AGENTS = ['A', 'B', 'C', 'D', 'E', 'F'];
const LOG_ON = 'subscribe';
const LOG_OFF = 'unsubscribe';

describe('two gateways on one Redis, with a pool that is rebalanced for some hours', () => {
  let token: TokenFile;
  let connectors: SimulatedConnector[];
  let gateways: TestGateway[];
  let redis: RedisConnection;
  let store: RedisStore;

  beforeEach(async () => {
    token = writeTokenFile();
    connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
    const keyPrefix = uniquePrefix();
    const config = `
identity: { logon: [${LOG_ON}], logoff: [${LOG_OFF}], logoffGrace: 10m }
pools:
  - name: ici
    mode: sticky
    balancer: least-bound
    health: { path: /health, interval: 200ms, fastInterval: 100ms }
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
coordination: { lease: ${LEASE_MS}ms }
affinity:
  { keyPrefix: ${keyPrefix}, idleLifetime: 1h, redis: { url: '${inject('redisUrl')}', commandTimeout: ${COMMAND_MS}ms } }
`;
    gateways = await Promise.all([0, 1].map(() => startTestGateway(config, { env: token.env })));
    redis = openRedis({ ...REDIS_TIMEOUTS, url: inject('redisUrl'), commandTimeoutMs: 5_000 });
    store = new RedisStore(redis, 'ici', { keyPrefix, idleLifetimeMs: IDLE_MS });
  });
  afterEach(async () => {
    await redis.close();
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await Promise.all(connectors.map((connector) => connector.close()));
    token.remove();
  });

  const gateway = (i: number): TestGateway => gateways[i % 2] as TestGateway;
  const act = async (path: string, body: object = {}) => {
    const answer = await ask(gateway(0).adminUrl, 'POST', `/pools/ici/${path}`, {
      why: 'new connector',
      by: 'ops',
      ...body,
    });
    expect(answer.body).toMatchObject({ inEffect: true });
    return answer.body;
  };
  /** One request of each agent, in order; its connector. */
  const each = async (agents: readonly string[], operation: string, first = 0): Promise<string[]> => {
    const places: string[] = [];
    for (const [i, agent] of agents.entries()) {
      const { status, connector = '' } = await post(gateway(first + i).url, agent, {}, operation);
      expect(status).toBe(200);
      places.push(connector);
    }
    return places;
  };
  const isLeaving = (agents: readonly string[], leastAgoMs: number) =>
    eventually(
      async () => {
        for (const value of agents) {
          const { loggedOff, usedAt = 0 } = (await store.find([{ kind: 'user', value }])) ?? {};
          expect(loggedOff).toBe(true);
          // Both clocks are of this machine.
          expect(Date.now() - usedAt).toBeGreaterThan(leastAgoMs);
        }
      },
      { within: 20_000 },
    );

  test('agents who log off and on again go to the emptied instance, and no agent who is logged on', async () => {
    await act('instances/b/disable');
    expect(new Set(await each(AGENTS, LOG_ON))).toEqual(new Set(['a']));
    await act('instances/b/enable');
    const [leaving, staying] = [AGENTS.slice(0, 3), AGENTS.slice(3)];

    expect(await act('rebalance', { deadline: '2h' })).toMatchObject({ until: expect.any(String) });
    await eventually(() =>
      expect(gateways.map((one) => one.status().pools[0]?.rebalance)).toEqual([
        { until: expect.any(String), by: expect.stringContaining('ops'), why: 'new connector' },
        { until: expect.any(String), by: expect.stringContaining('ops'), why: 'new connector' },
      ]),
    );
    await each(leaving, LOG_OFF);
    // Until then the other gateway may not know that they have left.
    await isLeaving(leaving, HEARD_MS + 64);

    const moved = await each(leaving, LOG_ON, 1);
    expect(moved).toEqual(['b', 'b', 'b']);
    for (const first of [0, 1]) {
      expect(await each(leaving, 'makeCall', first)).toEqual(moved);
      expect(await each(staying, LOG_ON, first)).toEqual(['a', 'a', 'a']);
    }

    expect(await act('rebalance', { end: true })).toMatchObject({ until: null });
    await eventually(() =>
      expect(gateways.map((one) => one.status().pools[0]?.rebalance)).toEqual([null, null]),
    );
    const epochs = ['admin', 'epochs', 'ici', '--admin', gateway(0).adminUrl];
    const { out } = await runCommand(epochs, token.env, { hasColors: false });
    expect(out.split('\n').filter((line) => line.includes('rebalance'))).toEqual([
      expect.stringMatching(/ operator +rebalance ended \(was until [\d: -]+\) /),
      expect.stringMatching(/ operator +rebalance until [\d: -]+ /),
    ]);
  });
});
