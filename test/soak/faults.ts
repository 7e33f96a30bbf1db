import { processesOf, SCENARIOS } from '../chaos/scenarios.ts';
import type { Stage } from '../chaos/stage.ts';
import { replaced } from '../drills/drills.ts';
import { eventually } from '../support/eventually.ts';
import { childrenOf } from '../support/host-processes.ts';
import { ask } from '../support/operator.ts';
import { sendSignal } from '../support/processes.ts';

/** What a fault strikes. */
export type Victim = 'instance' | 'gateway' | 'both' | 'redis' | 'sentinel' | 'clients';

/** A kind of fault. */
export interface Kind {
  readonly name: string;
  /** With `{i}` for the instance and `{g}` for the gateway. */
  readonly title: string;
  readonly victim: Victim;
  /** The instance loses its agents. */
  readonly bereaves?: true;
  /** It ends the process of the instance, which forgets its agents. */
  readonly forgets?: true;
  /** Packets between hosts are lost. */
  readonly cuts?: true;
  /** It ends processes of its gateway. */
  readonly ends?: true;
  /** The gateway alone does not reach Redis. */
  readonly isolates?: true;
  /** No gateway reaches Redis. */
  readonly isAway?: true;
  /** It starts processes that must learn the agents from Redis. */
  readonly isStarted?: true;
  /** A stopped or killed process, whose requests the kernel still delivers: at its instance, or anywhere. */
  readonly late?: 'there' | 'anywhere';
  /** How long it lasts, in seconds: at least, and at most. */
  readonly lasts: readonly [number, number];
  /** @param stage its first gateway, instance and Redis node are the ones to strike */
  strike(stage: Stage): Promise<unknown>;
  heal(stage: Stage): Promise<unknown>;
}

const SOME: readonly [number, number] = [4, 12];
const BRIEF: readonly [number, number] = [0.5, 0.5];
const RECOVERY_MS = 60_000;
const WORKERS = 2;
const SLOW_INSTANCE_MS = 400;
const SLOW_NETWORK_MS = 80;
const RESET_SHARE = 0.2;
const WHY = { why: 'a trial' };

const nothing = async (): Promise<void> => undefined;

export const KINDS: readonly Kind[] = [
  {
    ...chaos('instance-killed'),
    title: 'instance {i} killed, and started again',
    ...{ victim: 'instance', bereaves: true, forgets: true, lasts: SOME },
    heal: ({ instances: [a] }) => a.restart(),
  },
  {
    name: 'instance-restarted',
    title: 'instance {i} killed and started again at once',
    ...{ victim: 'instance', bereaves: true, forgets: true, lasts: BRIEF },
    strike: ({ instances: [a] }) => a.restart(),
    heal: nothing,
  },
  {
    ...chaos('instance-stopped'),
    title: 'instance {i} stopped, and continued',
    ...{ victim: 'instance', bereaves: true, late: 'there', lasts: SOME },
  },
  {
    ...chaos('instance-cut-from-gateways'),
    title: 'instance {i} cut off from all gateways',
    ...{ victim: 'instance', bereaves: true, cuts: true, lasts: SOME },
  },
  {
    name: 'instance-slow',
    title: `instance {i} answers ${SLOW_INSTANCE_MS} ms late`,
    ...{ victim: 'instance', lasts: SOME },
    strike: (stage) => behave(stage, { mode: 'slow', ms: SLOW_INSTANCE_MS }),
    heal: (stage) => behave(stage, { mode: 'normal' }),
  },
  {
    name: 'instance-resets',
    title: `instance {i} resets ${RESET_SHARE * 100} % of the connections instead of an answer`,
    ...{ victim: 'instance', lasts: SOME },
    strike: (stage) => behave(stage, { mode: 'reset', appliesTo: 'soap', probability: RESET_SHARE }),
    heal: (stage) => behave(stage, { mode: 'normal' }),
  },
  {
    ...chaos('gateway-cut-from-instance'),
    title: 'gateway {g} cut off from instance {i}',
    ...{ victim: 'both', cuts: true, lasts: SOME },
  },
  {
    ...chaos('gateway-cut-from-gateways'),
    title: 'gateway {g} cut off from the other gateways',
    ...{ victim: 'gateway', lasts: SOME },
  },
  {
    ...chaos('gateway-cut-from-redis'),
    title: 'gateway {g} cut off from Redis',
    ...{ victim: 'gateway', isolates: true, lasts: SOME },
  },
  {
    ...chaos('gateway-killed'),
    title: 'gateway {g} killed, and started again',
    ...{ victim: 'gateway', ends: true, isStarted: true, late: 'anywhere', lasts: SOME },
    heal: ({ gateways: [g1] }) => g1.start(),
  },
  {
    name: 'gateway-stopped',
    title: 'gateway {g} stopped, and continued',
    ...{ victim: 'gateway', late: 'anywhere', lasts: SOME },
    strike: async ({ gateways: [g1] }) => signalAll(processesOf(g1), 'SIGSTOP'),
    heal: async ({ gateways: [g1] }) => signalAll(processesOf(g1), 'SIGCONT'),
  },
  {
    name: 'worker-killed',
    title: 'a worker of gateway {g} killed',
    ...{ victim: 'gateway', ends: true, late: 'anywhere', lasts: BRIEF },
    strike: async ({ gateways: [g1] }) =>
      signalAll([...childrenOf(g1.pid).workers.values()].slice(0, 1), 'SIGKILL'),
    heal: complete,
  },
  {
    name: 'controller-killed',
    title: 'the controller of gateway {g} killed',
    ...{ victim: 'gateway', ends: true, lasts: BRIEF },
    strike: async ({ gateways: [g1] }) => signalAll([childrenOf(g1.pid).controller ?? 0], 'SIGKILL'),
    heal: complete,
  },
  {
    name: 'gateway-restarted',
    title: 'rolling restart of gateway {g}',
    ...{ victim: 'gateway', ends: true, isStarted: true, lasts: BRIEF },
    strike: ({ gateways: [g1] }) => replaced(g1, () => operate(g1.adminUrl, '/restart')),
    heal: complete,
  },
  {
    name: 'gateway-reloaded',
    title: 'gateway {g} reads another configuration, and then its own again',
    ...{ victim: 'gateway', ends: true, isStarted: true, lasts: SOME },
    strike: ({ gateways: [g1] }) => reload(g1, { ...g1.config, timeouts: { connect: '900ms' } }),
    heal: ({ gateways: [g1] }) => reload(g1, g1.config),
  },
  {
    ...chaos('master-killed'),
    title: 'Redis master killed, and started again without data',
    ...{ victim: 'redis', isAway: true, lasts: SOME },
  },
  {
    name: 'master-stopped',
    title: 'Redis master stopped, and continued',
    ...{ victim: 'redis', isAway: true, lasts: SOME },
    strike: async ({ redis: { nodes } }) => nodes[0].signal('SIGSTOP'),
    heal: async ({ redis: { nodes } }) => nodes[0].signal('SIGCONT'),
  },
  {
    name: 'master-paused',
    title: 'Redis master stopped for less than a second',
    ...{ victim: 'redis', lasts: [0.3, 0.9] },
    strike: async ({ redis: { nodes } }) => nodes[0].signal('SIGSTOP'),
    heal: async ({ redis: { nodes } }) => nodes[0].signal('SIGCONT'),
  },
  {
    name: 'redis-emptied',
    title: 'all data of Redis removed',
    ...{ victim: 'redis', lasts: BRIEF },
    strike: ({ redis }) => redis.empty(),
    heal: nothing,
  },
  {
    name: 'sentinel-killed',
    title: 'a sentinel killed, and started again',
    ...{ victim: 'sentinel', lasts: SOME },
    strike: async ({ redis: { sentinels } }) => sentinels.at(-1)?.kill(),
    heal: async ({ redis: { sentinels } }) => sentinels.at(-1)?.start(),
  },
  {
    name: 'network-slow',
    title: `data between clients and gateways ${SLOW_NETWORK_MS} ms late`,
    ...{ victim: 'clients', lasts: SOME },
    strike: async ({ balancer }) => balancer.delay(SLOW_NETWORK_MS),
    heal: async ({ balancer }) => balancer.delay(0),
  },
];

/** The strike and the end of a row of `npm run trial chaos`. */
function chaos(name: string): Pick<Kind, 'name' | 'strike' | 'heal'> {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  return {
    name,
    strike: (stage) => scenario.strike(stage, { waited: [], kept: new Map() }),
    heal: (stage) => scenario.heal(stage),
  };
}

/** The stage as if these came first: the gateway, the instance, and the master of Redis as it is now. */
export async function facing(
  stage: Stage,
  { gateway, instance, kind }: { gateway: number; instance: number; kind: Kind },
): Promise<Stage> {
  const { redis } = stage;
  const [one, other] = redis.nodes;
  const isMaster = kind.victim !== 'redis' || (await redis.master()).port === one.address.port;
  return {
    ...stage,
    gateways: turned(stage.gateways, gateway),
    instances: turned(stage.instances, instance),
    redis: { ...redis, nodes: isMaster ? [one, other] : [other, one] },
  };
}

function turned<T extends readonly unknown[]>(all: T, by: number): T {
  return [...all.slice(by), ...all.slice(0, by)] as unknown as T;
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) if (pid > 0) sendSignal(pid, signal);
}

async function behave({ instances: [a] }: Stage, behaviour: Record<string, unknown>): Promise<void> {
  const response = await fetch(`${a.url}/sim/behave`, { method: 'POST', body: JSON.stringify(behaviour) });
  // Another fault may have ended its process meanwhile, and with it the behaviour.
  if (!response.ok) throw new Error(`${a.name} answered ${response.status}: ${await response.text()}`);
}

async function operate(adminUrl: string, path: string): Promise<void> {
  const { status, body } = await ask(adminUrl, 'POST', path, WHY);
  if (status >= 300) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
}

async function reload(
  gateway: Stage['gateways'][0],
  config: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  gateway.configure(config);
  return replaced(gateway, () => gateway.signal('SIGHUP'));
}

/** Resolves when all processes of the gateway run, and it is ready. */
async function complete({ gateways: [g1] }: Stage): Promise<void> {
  await eventually(
    async () => {
      const { controller, workers } = childrenOf(g1.pid);
      if (controller === undefined || workers.size < WORKERS) throw new Error('a process is missing');
      const { status } = await ask(g1.adminUrl, 'GET', '/readyz');
      if (status !== 200) throw new Error(`${g1.name} is not ready: ${status}`);
    },
    { within: RECOVERY_MS, every: 50 },
  );
}
