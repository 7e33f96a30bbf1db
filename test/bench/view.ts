/**
 * What does the agreement cost the store, at rest and when a view changes?
 *
 *   npm run bench view -- [--seconds 20]
 *
 * Starts a separate Redis. Three gateways with ten instances each, as processes, at rest, without agents and
 * with 10,000 bound ones; then replicas without gateways around them, 3 × 10 and 50 × 100, at rest and when
 * an instance goes down.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { PoolCoordinator } from '../../src/coordination/pool-coordinator.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { fencingTokenKey } from '../../src/redis/keys.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { startBareReplica } from '../support/bare-replica.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';
import { table } from './figures.ts';
import type { RedisCost } from './redis-cost.ts';
import { RedisMeter } from './redis-cost.ts';

const AGENTS = 10_000;
const POOL = 'ici';
const CLAIMS_AT_ONCE = 200;
const READY_MS = 60_000;

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '20' }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write('Cost of a view at the store.\n\n  --seconds <n>  for each measure at rest; 20\n');
  process.exit(0);
}
const seconds = Number(values.seconds);
if (!(seconds >= 1)) throw new Error('--seconds is a number of at least 1');

const redis = await startRedis();
const meter = new RedisMeter(redis.url);
const closers: (() => Promise<unknown>)[] = [];
try {
  const atRest: string[][] = [['at rest', 'scripts/s', 'commands/s', 'KB/s in', 'KB/s out', 'Redis CPU']];
  const keyPrefix = `view-${randomBytes(4).toString('hex')}`;
  const gateways = await startGateways(keyPrefix);
  await untilQuiet();
  atRest.push(restRow('3 gateways × 10 instances', await rest()));
  await bindAgents(keyPrefix, gateways);
  await untilQuiet();
  atRest.push(restRow(`the same with ${AGENTS} bound agents`, await rest()));
  await closeAll();

  const changes: string[][] = [
    ['an instance goes down', 'in effect after', 'scripts', 'KB in', 'KB out', 'Redis CPU'],
  ];
  for (const [replicas, instances] of [
    [3, 10],
    [50, 100],
  ] as const) {
    const label = `${replicas} replicas × ${instances} instances`;
    const coordinators = await startReplicas(replicas, instances);
    await untilQuiet();
    atRest.push(restRow(label, await rest()));
    changes.push(changeRow(label, await change(coordinators)));
    await closeAll();
  }
  process.stdout.write(`${table(atRest)}\n\n${table(changes)}\n`);
} finally {
  await closeAll();
  meter.close();
  await redis.stop();
}

async function closeAll(): Promise<void> {
  await Promise.all(closers.splice(0).map((close) => close()));
}

async function rest(): Promise<RedisCost> {
  const end = await meter.begin();
  await new Promise((done) => {
    setTimeout(done, seconds * 1_000);
  });
  return end();
}

/** A gateway that has just started reads the stored bindings once; afterwards it is at rest. */
async function untilQuiet(): Promise<void> {
  let last = Number.POSITIVE_INFINITY;
  await eventually(
    async () => {
      const end = await meter.begin();
      await new Promise((done) => {
        setTimeout(done, 2_000);
      });
      const { commands } = await end();
      const before = last;
      last = commands;
      if (commands < before * 0.9) throw new Error(`${commands} commands in 2 s, after ${before}`);
    },
    { within: READY_MS },
  );
}

async function startGateways(keyPrefix: string): Promise<GatewayProcess[]> {
  const connectors = await Promise.all(
    Array.from({ length: 10 }, (_, i) => startConnector({ name: `i${i + 1}` })),
  );
  for (const connector of connectors) closers.push(() => connector.close());
  const config = {
    pools: [
      {
        name: POOL,
        mode: 'sticky',
        health: { path: '/health', incarnation: '"incarnation":"([^"]+)"' },
        instances: connectors.map(({ name, url }) => ({ id: name, url })),
      },
    ],
    affinity: { keyPrefix, redis: { url: redis.url } },
  };
  const gateways = await Promise.all(Array.from({ length: 3 }, () => startGatewayProcess(config)));
  for (const gateway of gateways) closers.push(() => gateway.close());
  return gateways;
}

/** Binds agents like another gateway; the running gateways get news of each binding. */
async function bindAgents(keyPrefix: string, gateways: readonly GatewayProcess[]): Promise<void> {
  const connection = openRedis({ ...REDIS_TIMEOUTS, url: redis.url, commandTimeoutMs: 5_000 });
  const client = new Redis(redis.url);
  const store = new RedisStore(connection, POOL, { keyPrefix, idleLifetimeMs: 12 * 3_600_000 });
  await eventually(() => connection.ping());
  const fencingToken = (await client.get(fencingTokenKey(keyPrefix, POOL))) ?? '';
  for (let agent = 0; agent < AGENTS; ) {
    const batch: Promise<unknown>[] = [];
    for (; batch.length < CLAIMS_AT_ONCE && agent < AGENTS; agent += 1) {
      const placement = { instance: `i${(agent % 10) + 1}`, incarnation: '' };
      batch.push(store.claim([{ kind: 'user', value: `AGENT${agent}` }], placement, fencingToken));
    }
    await Promise.all(batch);
  }
  await store.close();
  await connection.close();
  client.disconnect();
  await eventually(
    async () => {
      for (const gateway of gateways) {
        const known = (await gateway.status()).pools[0]?.affinity.cachedBindings ?? 0;
        if (known < AGENTS) throw new Error(`a gateway knows ${known} of ${AGENTS} agents`);
      }
    },
    { within: READY_MS, every: 100 },
  );
}

async function startReplicas(replicas: number, instances: number): Promise<PoolCoordinator[]> {
  const keyPrefix = `view-${randomBytes(4).toString('hex')}`;
  const names = Array.from({ length: instances }, (_, i) => `i${i + 1}`);
  const coordinators: PoolCoordinator[] = [];
  for (let i = 0; i < replicas; i += 1) {
    const connection: RedisConnection = openRedis({
      ...REDIS_TIMEOUTS,
      url: redis.url,
      commandTimeoutMs: 2_000,
    });
    await eventually(() => connection.ping());
    const coordinator = await startBareReplica(connection, {
      id: `r${i + 1}`,
      pool: POOL,
      keyPrefix,
      instances: names,
    });
    coordinators.push(coordinator);
    closers.push(async () => {
      await coordinator.close();
      await connection.close();
    });
  }
  await eventually(() => inEffect(coordinators, 'up'), { within: READY_MS, every: 50 });
  return coordinators;
}

/** From the verdict "down" of every replica until the new view is in effect. */
async function change(coordinators: readonly PoolCoordinator[]): Promise<RedisCost> {
  const end = await meter.begin();
  for (const coordinator of coordinators) {
    for (let probe = 0; probe < 3; probe += 1) {
      coordinator.observed('i1', { passed: false }, coordinator.agreed.epoch);
    }
  }
  await eventually(() => inEffect(coordinators, 'down'), { within: READY_MS, every: 5 });
  return end();
}

function inEffect(coordinators: readonly PoolCoordinator[], health: 'up' | 'down'): void {
  const [first] = coordinators;
  for (const { agreed, isEffective, routingState } of coordinators) {
    const isSo = isEffective && agreed.id === first?.agreed.id && agreed.instances['i1']?.health === health;
    if (!isSo || routingState.fencingToken === '')
      throw new Error(`i1 is not ${health} in effect everywhere`);
  }
}

function restRow(label: string, { seconds: took, ...cost }: RedisCost): string[] {
  return [
    label,
    (cost.scripts / took).toFixed(1),
    (cost.commands / took).toFixed(0),
    (cost.bytesIn / took / 1e3).toFixed(1),
    (cost.bytesOut / took / 1e3).toFixed(1),
    `${(cost.cpuMs / took / 10).toFixed(2)} %`,
  ];
}

function changeRow(label: string, cost: RedisCost): string[] {
  return [
    label,
    `${Math.round(cost.seconds * 1_000)} ms`,
    String(cost.scripts),
    (cost.bytesIn / 1e3).toFixed(0),
    (cost.bytesOut / 1e3).toFixed(0),
    `${cost.cpuMs.toFixed(0)} ms`,
  ];
}
