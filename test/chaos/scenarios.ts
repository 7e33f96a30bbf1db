import type { PoolStatus } from '../../src/core/gateway-status.ts';
import { eventually } from '../support/eventually.ts';
import type { KeptConnections } from '../support/load.ts';
import { keepConnections } from '../support/load.ts';
import { childrenOf, sendSignal } from '../support/processes.ts';
import type { Foretold } from './foresight.ts';
import { endedOf } from './load.ts';
import type { EndedRequest } from './measures.ts';
import { pause } from './pause.ts';
import type { Mode, Stage, StagedGateway } from './stage.ts';
import { MODES, statusOf } from './stage.ts';

/** The findings of a scenario beside the effects on agents. */
export interface Findings {
  /** The time at which the sentinels had another master, on the clock of `performance.now()`. */
  promotedAt?: number;
  /** From then until every gateway held a lease on a view in effect, in ms. */
  recoveredAfterPromotionMs?: number;
  /** Requests that waited in a stopped gateway. */
  readonly waited: EndedRequest[];
  /** Connections to a gateway that will be stopped. */
  readonly kept: Map<Mode, KeptConnections>;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** The first instance loses its agents, or is killed. */
  readonly bereaves?: boolean;
  /** Hosts are cut off from each other: data in the kernel must not be delivered after the end of the cut. */
  readonly cuts?: boolean;
  /** The first gateway does not come back. */
  readonly losesGateway?: boolean;
  /** The gateway that will notice: the affected one, or one of the others. */
  readonly witness: 'struck' | 'peer';
  /** New agents log on while the fault lasts. */
  readonly newcomers?: boolean;
  /** What the first page of an archive says that is made before the end of the fault; the first is the fault. */
  readonly archive: readonly [RegExp, ...RegExp[]];
  /** What is asked before the fault: the agents go where the answer says. */
  readonly foretold?: Foretold;
  strike(stage: Stage, findings: Findings): Promise<void>;
  /** Whether the observing gateway shows the fault; missing if there is nothing to see. */
  readonly shows?: (now: PoolStatus, before: PoolStatus) => boolean;
  /** The steps during the fault. */
  goOn?(stage: Stage, findings: Findings): Promise<void>;
  heal(stage: Stage): Promise<void>;
}

const nothing = async (): Promise<void> => undefined;
const first = (status: PoolStatus) => status.instances.find(({ id }) => id === 'a');
const isDown = (now: PoolStatus): boolean => first(now)?.health === 'down';
const storeIsAway = (now: PoolStatus): boolean => !now.affinity.available;
const lacksOne = (now: PoolStatus): boolean => now.replicas.length === 2;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'gateway-cut-from-instance',
    title: 'a gateway cut off from one instance',
    cuts: true,
    witness: 'struck',
    shows: (now) => first(now)?.cutOffHere === true,
    archive: [/^gateway g1-\S+ alone cannot reach instance a of .* – since /],
    strike: ({ network, gateways: [g1], instances: [a] }) => network.cut(g1.host, a.host),
    heal: ({ network, gateways: [g1], instances: [a] }) => network.heal(g1.host, a.host),
  },
  {
    name: 'instance-cut-from-gateways',
    title: 'an instance cut off from all gateways',
    bereaves: true,
    cuts: true,
    witness: 'peer',
    shows: isDown,
    archive: [/^instance a of pools failover, sticky is down: .* 3 of 3 gateways report it/],
    foretold: { change: 'instance-dies', instance: 'a' },
    strike: async ({ network, gateways, instances: [a] }) => {
      await Promise.all(gateways.map(({ host }) => network.cut(host, a.host)));
    },
    heal: async ({ network, gateways, instances: [a] }) => {
      await Promise.all(gateways.map(({ host }) => network.heal(host, a.host)));
    },
  },
  {
    name: 'gateway-cut-from-redis',
    title: 'a gateway cut off from Redis',
    witness: 'struck',
    newcomers: true,
    shows: storeIsAway,
    archive: [/^the affinity store is away for gateway g1-\S+ .* – since /],
    strike: (stage) => stage.cutFromStore(stage.gateways[0]),
    heal: (stage) => stage.healToStore(stage.gateways[0]),
  },
  {
    name: 'gateway-cut-from-gateways',
    title: 'a gateway cut off from the other gateways (there is no link between them)',
    witness: 'peer',
    archive: [/^none was found/],
    strike: async ({ network, gateways: [g1, ...others] }) => {
      for (const { host } of others) await network.cut(g1.host, host);
    },
    heal: async ({ network, gateways: [g1, ...others] }) => {
      for (const { host } of others) await network.heal(g1.host, host);
    },
  },
  {
    name: 'master-killed',
    title: 'Redis master killed',
    witness: 'peer',
    newcomers: true,
    shows: storeIsAway,
    archive: [/^the affinity store is away for gateway g2-\S+ .* – (from .* to|at) /, /may have lost data/],
    foretold: { change: 'store-goes' },
    strike: ({ redis }) => redis.nodes[0].kill(),
    goOn: promotion,
    heal: ({ redis }) => redis.nodes[0].start(),
  },
  {
    name: 'master-stopped',
    title: 'Redis master stopped, and continued when another has been promoted',
    witness: 'peer',
    newcomers: true,
    shows: storeIsAway,
    archive: [/^the affinity store is away for gateway g2-\S+ .* – (from .* to|at) /, /may have lost data/],
    strike: async ({ redis }) => redis.nodes[0].signal('SIGSTOP'),
    goOn: async (stage, findings) => {
      await promotion(stage, findings);
      stage.redis.nodes[0].signal('SIGCONT');
    },
    heal: nothing,
  },
  {
    name: 'instance-killed',
    title: 'an instance killed',
    bereaves: true,
    witness: 'peer',
    shows: isDown,
    archive: [/^instance a of pools failover, sticky is down: .*its process (does not run|has ended)/],
    foretold: { change: 'instance-dies', instance: 'a' },
    strike: ({ instances: [a] }) => a.kill(),
    heal: nothing,
  },
  {
    name: 'instance-stopped',
    title: 'an instance stopped, and continued',
    bereaves: true,
    witness: 'peer',
    shows: isDown,
    archive: [/^instance a of pools failover, sticky is down: .*its process hangs/],
    foretold: { change: 'instance-dies', instance: 'a' },
    strike: async ({ instances: [a] }) => a.stop(),
    heal: async ({ instances: [a] }) => a.cont(),
  },
  {
    name: 'instance-restarted',
    title: 'an instance killed and started again at once',
    bereaves: true,
    witness: 'peer',
    shows: (now, before) => isDown(now) || first(now)?.incarnation !== first(before)?.incarnation,
    archive: [/^instance a of pools failover, sticky was started again: .* – at /],
    strike: ({ instances: [a] }) => a.kill(),
    goOn: ({ instances: [a] }) => a.restart(),
    heal: nothing,
  },
  {
    name: 'gateway-killed',
    title: 'a gateway killed',
    losesGateway: true,
    witness: 'peer',
    shows: lacksOne,
    archive: [/^gateway g1-\S+ is (gone|silent): .*its processes were killed/],
    foretold: { change: 'gateway-goes', gateway: 0 },
    strike: async ({ gateways: [g1] }) => {
      // All processes at once, as when its machine fails.
      for (const pid of processesOf(g1)) sendSignal(pid, 'SIGKILL');
      await g1.kill();
    },
    heal: nothing,
  },
  {
    name: 'gateway-stopped',
    title: 'a gateway stopped; an instance lost to the others meanwhile; the gateway continued',
    bereaves: true,
    cuts: true,
    witness: 'peer',
    shows: isDown,
    archive: [
      /^instance a of pools failover, sticky is down/,
      /^gateway g1-\S+ took no part: .* – from .* to /,
    ],
    strike: stopAndLose,
    goOn: (stage, findings) => continueStale(stage, findings, 0),
    heal: reachAgain,
  },
  {
    name: 'gateway-stopped-redis-late',
    title: 'the same, and Redis silent to it for a second when it goes on',
    bereaves: true,
    cuts: true,
    witness: 'peer',
    shows: isDown,
    archive: [
      /^instance a of pools failover, sticky is down/,
      /^gateway g1-\S+ took no part: .* – from .* to /,
    ],
    strike: stopAndLose,
    goOn: (stage, findings) => continueStale(stage, findings, STORE_LATE_MS),
    heal: reachAgain,
  },
  {
    name: 'all-restarted-redis-emptied',
    title: 'all gateways and Redis killed at once, and started again without data',
    witness: 'peer',
    // A gateway that has just started does not know what was before.
    archive: [/^/],
    strike: async ({ gateways, redis }) => {
      for (const gateway of gateways) for (const pid of processesOf(gateway)) sendSignal(pid, 'SIGKILL');
      await Promise.all([...gateways, ...redis.nodes].map((one) => one.kill()));
    },
    goOn: async ({ gateways, redis: { nodes } }) => {
      for (const node of nodes) await node.start();
      await Promise.all(gateways.map((gateway) => gateway.start()));
    },
    heal: nothing,
  },
];

const PROMOTION_MS = 15_000;
const RECOVERY_MS = 10_000;
const LOSS_MS = 12_000;
const STORE_LATE_MS = 1_000;
/** When it continues, it serves the connections that it had accepted while it was stopped. */
const STALE_WATCH_MS = 4_000;
const STALE_REQUESTS = 6;

async function promotion({ redis, gateways }: Stage, findings: Findings): Promise<void> {
  const [{ address: lost }] = redis.nodes;
  await eventually(
    async () => {
      const { host, port } = await redis.master();
      if (host === lost.host && port === lost.port) throw new Error('no other master was promoted');
    },
    { within: PROMOTION_MS, every: 20 },
  );
  const promotedAt = performance.now();
  findings.promotedAt = promotedAt;
  await eventually(
    async () => {
      for (const gateway of gateways) for (const mode of MODES) await isAtWork(gateway, mode);
    },
    { within: RECOVERY_MS, every: 20 },
  ).catch(() => undefined);
  const isRecovered = performance.now() - promotedAt < RECOVERY_MS;
  findings.recoveredAfterPromotionMs = isRecovered
    ? performance.now() - promotedAt
    : Number.POSITIVE_INFINITY;
}

/** Throws unless the gateway has a lease on a view in effect. */
export async function isAtWork(gateway: StagedGateway, mode: Mode): Promise<PoolStatus> {
  const status = await statusOf(gateway, mode);
  if (status === undefined) throw new Error(`${gateway.name} does not tell`);
  const { standing: routingState, view, affinity } = status;
  if (routingState === 'leased' && view.effective && affinity.available) return status;
  throw new Error(`${gateway.name}, pool ${mode}: ${routingState}, ${JSON.stringify(view)}`);
}

/** The instance goes on serving, so only the lease keeps the stopped gateway from using it. */
async function stopAndLose({ network, gateways, instances: [a] }: Stage, { kept }: Findings): Promise<void> {
  const [g1, ...others] = gateways;
  for (const mode of MODES) {
    const known = Array.from({ length: STALE_REQUESTS }, (_, i) => agentName(mode, i));
    kept.set(mode, await keepConnections(`${g1.url}/${mode}`, known));
  }
  for (const pid of processesOf(g1)) sendSignal(pid, 'SIGSTOP');
  for (const { host } of others) await network.cut(host, a.host);
}

async function reachAgain({ network, gateways: [, ...others], instances: [a] }: Stage): Promise<void> {
  for (const { host } of others) await network.heal(host, a.host);
}

/** Continues the stopped gateway, with waiting requests, after the others have left the instance. */
async function continueStale(stage: Stage, findings: Findings, storeLateMs: number): Promise<void> {
  const [g1, g2] = stage.gateways;
  for (const mode of MODES) {
    await eventually(
      async () => {
        const status = await isAtWork(g2, mode);
        if (!isDown(status)) throw new Error(`instance a is still up for ${g2.name} in pool ${mode}`);
      },
      { within: LOSS_MS, every: 20 },
    );
  }
  const waiting = await Promise.all([...findings.kept.values()].map((connections) => connections.send()));
  if (storeLateMs > 0) await stage.cutFromStore(g1);
  for (const pid of processesOf(g1)) sendSignal(pid, 'SIGCONT');
  if (storeLateMs > 0) {
    await pause(storeLateMs);
    await stage.healToStore(g1);
  }
  findings.waited.push(...(await Promise.all(waiting.flat())).map(endedOf));
  for (const connections of findings.kept.values()) connections.close();
  await pause(STALE_WATCH_MS);
}

/** The workers, the controller and the supervisor. */
export function processesOf({ pid }: StagedGateway): number[] {
  return [...childrenOf(pid).map((child) => child.pid), pid];
}

export function agentName(mode: Mode, index: number): string {
  return `${mode.toUpperCase()}${String(index + 1).padStart(4, '0')}`;
}
