import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PoolStatus } from '../../src/core/gateway-status.ts';
import type { ConnectorProcess } from '../../src/simulator/connector-process.ts';
import { startConnectorProcess } from '../../src/simulator/connector-process.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { PROGRAM, startGatewayProcess } from '../support/gateway-process.ts';
import { writeTokenFile } from '../support/operator.ts';
import { freePort } from '../support/redis-server.ts';
import type { LogLine } from '../support/test-gateway.ts';
import type { Balancer } from './balancer.ts';
import { startBalancer } from './balancer.ts';
import type { Address } from './fault-proxy.ts';
import type { Host, Network } from './network.ts';
import type { WatchedRedis } from './sentinels.ts';
import { startWatchedRedis } from './sentinels.ts';

/** Both ways to operate a pool, over the same three instances. */
export const MODES = ['sticky', 'failover'] as const;
export type Mode = (typeof MODES)[number];

export interface StagedGateway extends GatewayProcess {
  readonly name: string;
  readonly host: Host;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface StagedInstance extends ConnectorProcess {
  readonly host: Host;
}

/** Three gateways with a balancer in front, instances, and Redis under Sentinel: all processes. */
export interface Stage {
  readonly network: Network;
  readonly gateways: Three<StagedGateway>;
  /** The first is the preferred one of the failover pool. */
  readonly instances: readonly [StagedInstance, ...StagedInstance[]];
  readonly redis: WatchedRedis;
  readonly balancer: Balancer;
  /** The paths between a gateway and Redis. */
  cutFromStore(gateway: StagedGateway): Promise<void>;
  healToStore(gateway: StagedGateway): Promise<void>;
  close(): Promise<void>;
}

/** Two leases, a first round of probes, and reserve for a busy machine. */
const READY_MS = 90_000;

type Three<T> = readonly [T, T, T];

export interface StageOptions {
  /** Gateways relay requests for each other. */
  readonly withPeers: boolean;
  /** `health.profile`. */
  readonly profile: string;
  /** The names of the instances; a, b and c by default. */
  readonly instances?: readonly [string, ...string[]];
  /** More options of every gateway. */
  readonly gateway?: Readonly<Record<string, unknown>>;
}

/** Gateways have the default settings otherwise. Leaves nothing behind when it rejects. */
export async function setStage(
  openNetwork: () => Promise<Network>,
  { withPeers, profile, instances: names = ['a', 'b', 'c'], gateway: more = {} }: StageOptions,
): Promise<Stage> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const network = await openNetwork();
    closers.push(network.close);
    const redis = await startWatchedRedis(network);
    closers.push(redis.close);
    const instances = await all(names, (name) => startInstance(name, network, closers));
    // If a proxy is between a gateway and Redis, this path is cut.
    const store = network.kind === 'proxy' ? await network.host('store') : undefined;
    // The status of gateways is read from another host.
    const token = writeTokenFile();
    closers.push(async () => token.remove());
    const keyFile = `${token.path}.peers`;
    writeFileSync(keyFile, randomBytes(32).toString('hex'), { mode: 0o600 });
    const keyPrefix = `chaos-${randomBytes(4).toString('hex')}`;
    const gateways = await all(['g1', 'g2', 'g3'] as const, async (name) => {
      const host = await network.host(name);
      const redisOptions = store === undefined ? watched(redis) : await relayed(network, host, store, redis);
      const pools = await poolsOf(network, host, instances, profile);
      // A gateway that is started again must be at the same address.
      const address = async (): Promise<string> => `${host.address}:${await freePort()}`;
      const config = {
        listen: { address: await address() },
        admin: { address: await address(), tokenFile: token.path },
        pools,
        affinity: { keyPrefix, stateDir: mkdtempSync(join(tmpdir(), `${name}-state-`)), redis: redisOptions },
        coordination: { replica: name },
        workers: 1,
        ...(withPeers ? { peers: { address: await address(), keyFile } } : {}),
        ...more,
      };
      const keeps = ({ msg }: LogLine): boolean => msg !== 'request';
      const gateway = await startGatewayProcess(config, { prefix: host.prefix, readyMs: READY_MS, keeps });
      closers.push(() => gateway.close());
      // Its getters must stay getters: a gateway that is started again has another id.
      return Object.assign(gateway, { name, host, config });
    });
    const balancer = await startBalancer(
      gateways.map(({ url, adminUrl }) => ({ address: addressOf(url), readyUrl: `${adminUrl}/readyz` })),
    );
    closers.push(balancer.close);
    const storeHosts =
      store === undefined ? [...redis.nodes, ...redis.sentinels].map(({ host }) => host) : [store];
    return {
      network,
      gateways,
      instances,
      redis,
      balancer,
      cutFromStore: async ({ host }) => {
        await Promise.all(storeHosts.map((other) => network.cut(host, other)));
      },
      healToStore: async ({ host }) => {
        await Promise.all(storeHosts.map((other) => network.heal(host, other)));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A gateway's status of a pool; `undefined` while it does not answer. */
export async function statusOf(gateway: StagedGateway, pool: string): Promise<PoolStatus | undefined> {
  try {
    const { pools } = await gateway.status();
    return pools.find(({ name }) => name === pool);
  } catch {
    return undefined;
  }
}

async function startInstance(
  name: string,
  network: Network,
  closers: (() => Promise<unknown>)[],
): Promise<StagedInstance> {
  const host = await network.host(`i-${name}`);
  const instance = await startConnectorProcess({
    name,
    host: host.address,
    program: [...host.prefix, ...PROGRAM],
  });
  closers.push(() => instance.close());
  // Its getters must stay getters: a restarted process has another id.
  return Object.defineProperty(instance, 'host', { value: host }) as StagedInstance;
}

function watched({ sentinels, masterName }: WatchedRedis): Record<string, unknown> {
  return { sentinels: sentinels.map(({ address }) => `${address.host}:${address.port}`), masterName };
}

/** Like a proxy that queries the sentinels: the gateway has one address, which leads to the master. */
async function relayed(
  network: Network,
  gateway: Host,
  store: Host,
  redis: WatchedRedis,
): Promise<Record<string, unknown>> {
  const { host, port } = await network.path(gateway, store, redis.master);
  return { url: `redis://${host}:${port}/0` };
}

async function poolsOf(
  network: Network,
  gateway: Host,
  instances: readonly StagedInstance[],
  profile: string,
): Promise<Record<string, unknown>[]> {
  const reached = await Promise.all(
    instances.map(async (instance) => {
      const { host, port } = await network.path(gateway, instance.host, () => addressOf(instance.url));
      // Each gateway has a separate path.
      return { id: instance.name, url: `http://${host}:${port}`, commonUrl: `http://${instance.name}.test` };
    }),
  );
  return MODES.map((mode) => ({
    name: mode,
    mode,
    match: { paths: [`/${mode}`] },
    health: { profile, path: '/health', incarnation: '"incarnation":"([^"]+)"' },
    instances: reached,
  }));
}

function addressOf(url: string): Address {
  const { hostname: host, port } = new URL(url);
  return { host, port: Number(port) };
}

/** Starts all at once, and waits for all, so that started ones can be closed. */
async function all<Names extends readonly string[], T>(
  names: Names,
  start: (name: string) => Promise<T>,
): Promise<{ [K in keyof Names]: T }> {
  const started = await Promise.allSettled(names.map(start));
  for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason;
  return started.map((outcome) => (outcome as PromiseFulfilledResult<T>).value) as {
    [K in keyof Names]: T;
  };
}
