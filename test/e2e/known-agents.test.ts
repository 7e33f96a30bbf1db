import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SCRIPTS } from '../../src/affinity/redis/scripts.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { post, users } from '../support/load.ts';
import { monitorRedis } from '../support/redis-monitor.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const AGENTS = 20;
const ROUNDS = 10;

// The scripts that the gateway runs on its own, once a second or after a start; it runs all others for a request.
const { gwCounts, gwList, ...FOR_REQUESTS } = SCRIPTS;
const nameOf = new Map(Object.entries(SCRIPTS).map(([name, lua]) => [sha1(lua), name]));

let redis: RedisServer;
let client: Redis;
let connectors: SimulatedConnector[];
let gateways: GatewayProcess[];

beforeEach(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
  const config = {
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        balancer: 'random',
        health: { path: '/health' },
        instances: connectors.map(({ name, url }) => ({ id: name, url })),
      },
    ],
    affinity: { redis: { url: redis.url, commandTimeout: '2s' } },
    coordination: { lease: '1s' },
  };
  gateways = await Promise.all([startGatewayProcess(config), startGatewayProcess(config)]);
});

afterEach(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all(connectors.map((connector) => connector.close()));
  client.disconnect();
  await redis.stop();
});

test('requests of known agents need no round trip to the store', async () => {
  const [one, two] = gateways as [GatewayProcess, GatewayProcess];
  const agents = users(AGENTS, 'KNOWN');
  // Bound through one gateway; the other one gets the news.
  await Promise.all(agents.map((agent) => post(one.url, agent)));
  await eventually(async () => {
    const { pools } = await two.status();
    expect(pools[0]?.affinity.cachedBindings).toBe(AGENTS);
  });
  // The second request of an agent renews its name in the background, which ends the probation of a new name.
  for (const gateway of [one, two]) await Promise.all(agents.map((agent) => post(gateway.url, agent)));
  await eventually(async () => {
    const before = scriptsIn(await client.info('commandstats'));
    await Promise.all(agents.flatMap((agent) => gateways.map(({ url }) => post(url, agent))));
    expect(scriptsIn(await client.info('commandstats')) - before).toBeLessThan(AGENTS);
  });

  // The commands of all Redis clients, in order; our own INFOs mark beginning and end.
  const asked: string[] = [];
  const monitor = await monitorRedis(redis.port, ({ source, name, first = '' }) => {
    if (source !== 'lua') asked.push(name === 'evalsha' ? (nameOf.get(first) ?? name) : name);
  });
  try {
    const before = scriptsIn(await client.info('commandstats'));
    for (let round = 0; round < ROUNDS; round += 1) {
      const outcomes = await Promise.all(
        agents.map((agent, i) => post((gateways[(i + round) % 2] as GatewayProcess).url, agent)),
      );
      expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
    }
    const after = scriptsIn(await client.info('commandstats'));
    await eventually(() => expect(asked.filter((command) => command === 'info').length).toBe(2));

    const meanwhile = asked.slice(asked.indexOf('info') + 1, asked.lastIndexOf('info'));
    expect(meanwhile.filter((command) => Object.hasOwn(FOR_REQUESTS, command))).toEqual([]);
    // Redis itself counted no further script calls.
    expect(after - before).toBe(meanwhile.filter(isScript).length);

    // Otherwise the monitor would prove nothing.
    await post(one.url, 'AN UNKNOWN AGENT');
    await eventually(() => expect(asked).toContain('gwClaim'));
  } finally {
    monitor.close();
  }
});

function sha1(lua: string): string {
  return createHash('sha1').update(lua).digest('hex');
}

function isScript(command: string): boolean {
  return command === 'evalsha' || Object.hasOwn(SCRIPTS, command);
}

function scriptsIn(commandstats: string): number {
  return Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(commandstats)?.[1] ?? 0);
}
