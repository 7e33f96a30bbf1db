import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { PROGRAM } from '../support/gateway-process.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { childrenOf } from '../support/host-processes.ts';
import { post, users } from '../support/load.ts';
import { halt, sendSignal, untilGone } from '../support/processes.ts';
import { freePort } from '../support/redis-server.ts';
import { runProgramFile } from '../support/system-tools.ts';
import { clientPortsOf } from './client-ports.ts';
import type { LoadReport, SteadyLoad } from './load.ts';
import { startSteadyLoad } from './load.ts';
import type { ConfigVariant, DrilledGateway, Stage } from './stage.ts';
import { STAYING, USUAL } from './stage.ts';

/** The progress of a drill. */
export interface DrillOptions {
  readonly times: number;
  /** New connections per second. */
  readonly perSecond: number;
  /** Of each gateway. */
  readonly workers: number;
  readonly signal: AbortSignal;
  /** Called after each time. */
  readonly onProgress: (done: number, misses: number) => void;
}

export interface DrillReport extends LoadReport {
  readonly times: number;
  /** The longest time in milliseconds from a strike until the state before is restored. */
  readonly longestMs: number;
}

// For a machine with all cores busy, and a supervisor that restarts a child after up to 5 s.
const RECOVERY_MS = 60_000;
/** V8 compiles the code of clients, gateway and instances. */
const WARM_MS = 3_000;
const UNDISTURBED_MS = 4_000;
/** Replaced processes may leave something behind: the next standby process starts. */
const AFTER_MS = 500;
const CALM_MS = 3_000;
/** Every so many times all workers are killed at once, so that for a while no process accepts connections. */
const ALL_EVERY = 10;
/** The next kill does not wait for children that the supervisor restarts later. */
const ENOUGH_WORKERS = 2;
/** Starting a worker and the next standby process takes about a second of processor time, which the clients share. */
const PACE_MS = 2_000;

/**
 * SIGKILL of workers. Each killed process counts.
 *
 * @param which `mixed`: one at random, and every tenth time all of them
 */
export function drillKills(
  gateway: DrilledGateway,
  options: DrillOptions,
  which: 'one' | 'all' | 'mixed' = 'mixed',
): Promise<DrillReport> {
  let strikes = 0;
  return drill(gateway, options, async ({ load }) => {
    strikes += 1;
    const enough = which === 'mixed' ? Math.min(options.workers, ENOUGH_WORKERS) : options.workers;
    const live = await serving(gateway, enough);
    // At any moment of the other workers' start.
    await pause(Math.random() * 300);
    load.phase = 'struck';
    const all = which === 'all' || (which === 'mixed' && strikes % ALL_EVERY === 0);
    const victims = all ? live : [live[Math.floor(Math.random() * live.length)] as number];
    for (const pid of victims) await halt(pid);
    let count = 0;
    for (const pid of victims) {
      load.excuse(await clientPortsOf(pid, gateway.port));
      // On a busy machine the watchdog may have killed it while it stood still.
      if (sendSignal(pid, 'SIGKILL')) count += 1;
    }
    await Promise.all(victims.map(untilGone));
    const killedAt = performance.now();
    await serving(gateway, enough);
    const tookMs = performance.now() - killedAt;
    await pause(Math.max(0, PACE_MS - tookMs));
    if (which !== 'mixed') load.phase = 'meanwhile';
    return { tookMs, count };
  });
}

/** Configurations that differ in weights, time limits and instances, each read on SIGHUP. */
export function drillReloads(gateway: DrilledGateway, options: DrillOptions): Promise<DrillReport> {
  return drill(gateway, options, ({ load, turn }) => {
    gateway.vary(variantOf(turn + 1));
    return replacedUnder(load, gateway, () => gateway.signal('SIGHUP'));
  });
}

/** `ici-gateway restart --rolling`. */
export function drillRestarts(gateway: DrilledGateway, options: DrillOptions): Promise<DrillReport> {
  return drill(gateway, options, ({ load }) =>
    replacedUnder(load, gateway, async () => {
      const [node = '', ...program] = PROGRAM;
      const where = ['--admin', gateway.adminUrl, '--token-file', gateway.tokenFile];
      const { code, text } = await runProgramFile(node, [...program, 'restart', '--rolling', ...where]);
      if (code !== 0) throw new Error(`ici-gateway restart ended with ${code}: ${text}`);
    }),
  );
}

/** The controller is killed; the drill waits until the admin port shows the view again. */
export function drillController(gateway: DrilledGateway, options: DrillOptions): Promise<DrillReport> {
  return drill(gateway, options, async () => {
    const { controller } = childrenOf(gateway.pid);
    if (controller === undefined) throw new Error('there is no controller');
    sendSignal(controller, 'SIGKILL');
    const killedAt = performance.now();
    await untilGone(controller);
    await shown(gateway);
    const tookMs = performance.now() - killedAt;
    // Until a standby process is ready again.
    await pause(CALM_MS);
    return { tookMs };
  });
}

/** Two gateways that share a store, and a real haproxy in front of them. */
export interface Pair {
  readonly url: string;
  /** Stops one of them softly and starts it again. Resolves when haproxy sends connections to both. */
  cycle(which: 0 | 1): Promise<void>;
  close(): Promise<void>;
}

/** @param pollInterval the time for which a stopping gateway still accepts connections, so that haproxy can notice the stop */
export async function startPair(stage: Stage, workers: number, pollInterval = '1s'): Promise<Pair> {
  const ports = [await freePort(), await freePort()] as const;
  const front = await freePort();
  const stats = await freePort();
  const start = (which: 0 | 1): Promise<DrilledGateway> =>
    stage.gateway({
      workers,
      store: 'pair',
      listen: `127.0.0.1:${ports[which]}`,
      lifecycle: { statusPollInterval: pollInterval },
    });
  const pair = await Promise.all([start(0), start(1)]);
  const haproxy = await startHaproxy(haproxyConfig(front, stats, ports), [front, stats]);
  return {
    url: `http://127.0.0.1:${front}`,
    close: haproxy.close,
    cycle: async (which) => {
      await pair[which].stop();
      pair[which] = await start(which);
      await eventually(
        async () => {
          const servers = await (await fetch(`http://127.0.0.1:${stats}/;csv`)).text();
          const up = servers.match(/^gateways,g[12],.*,UP,/gm)?.length ?? 0;
          if (up < ports.length) throw new Error(`haproxy sends to ${up} of ${ports.length} gateways`);
        },
        { within: RECOVERY_MS, every: 50 },
      );
    },
  };
}

/** Each of two gateways in turn is stopped softly and started again. */
export function drillCycles(pair: Pair, options: DrillOptions): Promise<DrillReport> {
  const load = startSteadyLoad({ ...options, url: pair.url, staying: STAYING });
  return repeat(load, options, async (turn) => {
    const stoppedAt = performance.now();
    await pair.cycle(turn % 2 === 0 ? 0 : 1);
    const tookMs = performance.now() - stoppedAt;
    // The clients share the processors with a gateway that has just started.
    await pause(CALM_MS);
    return { tookMs };
  });
}

export interface QueueReport {
  readonly connections: number;
  readonly answered: number;
  /** The results of the other connections. */
  readonly failures: readonly string[];
  readonly slowestMs: number;
}

/** The only worker of a gateway is killed, and connections arrive before another one is ready. */
export async function drillQueue(
  gateway: DrilledGateway,
  { connections }: { readonly connections: number },
): Promise<QueueReport> {
  const names = users(connections, 'QUEUE');
  await Promise.all(names.map((name) => post(gateway.url, name)));
  const [worker] = childrenOf(gateway.pid).workers.values();
  if (worker === undefined) throw new Error('there is no worker');
  sendSignal(worker, 'SIGKILL');
  await untilGone(worker);
  const outcomes = await Promise.all(
    names.map((name) => post(gateway.url, name, {}, 'getAttributes', { giveUpMs: RECOVERY_MS })),
  );
  const failures = outcomes.filter(({ status }) => status !== 200);
  return {
    connections,
    answered: connections - failures.length,
    failures: [
      ...new Set(failures.map(({ status, error, code }) => `${status} ${error ?? ''} ${code ?? ''}`)),
    ],
    slowestMs: Math.max(...outcomes.map(({ durationMs }) => durationMs)),
  };
}

interface Turn {
  readonly load: SteadyLoad;
  /** The number of earlier strikes. */
  readonly turn: number;
}

interface Strike {
  /** Until all was as before. */
  readonly tookMs: number;
  /** How many times it counts; once by default. */
  readonly count?: number;
}

function drill(
  gateway: DrilledGateway,
  options: DrillOptions,
  strike: (turn: Turn) => Promise<Strike>,
): Promise<DrillReport> {
  const load = startSteadyLoad({ ...options, url: gateway.url, staying: STAYING });
  return repeat(load, options, (turn) => strike({ load, turn }));
}

/** Strikes so many times, under load before, between and after. */
async function repeat(
  load: SteadyLoad,
  { times, signal, onProgress }: DrillOptions,
  strike: (turn: number) => Promise<Strike>,
): Promise<DrillReport> {
  let longestMs = 0;
  let done = 0;
  try {
    await pause(WARM_MS);
    load.phase = 'calm';
    await pause(UNDISTURBED_MS);
    load.phase = 'struck';
    while (done < times && !signal.aborted) {
      const { tookMs, count = 1 } = await strike(done);
      longestMs = Math.max(longestMs, tookMs);
      done += count;
      onProgress(done, load.misses);
    }
    await pause(AFTER_MS);
  } catch (error) {
    await load.stop();
    throw error;
  }
  return { ...(await load.stop()), times: done, longestMs };
}

/** Resolves with the workers once there are this many and each has answered a request. */
function serving({ pid, serving }: DrilledGateway, count: number): Promise<number[]> {
  return eventually(
    () => {
      const live = [...childrenOf(pid).workers.values()].filter((worker) => serving.has(worker));
      if (live.length < count) throw new Error(`${live.length} of ${count} workers serve`);
      return live;
    },
    { within: RECOVERY_MS, every: 20 },
  );
}

/** Resolves when all children are replaced. */
export async function replaced(
  gateway: Pick<GatewayProcess, 'log'>,
  ask: () => Promise<void> | void,
): Promise<Strike> {
  const before = gateway.log.length;
  const askedAt = performance.now();
  await ask();
  await eventually(
    () => {
      const since = gateway.log.slice(before);
      const refused = since.find(
        ({ msg }) => msg.includes('not all replaced') || msg.startsWith('the new configuration is not used'),
      );
      if (refused !== undefined) throw new Error(`refused: ${JSON.stringify(refused)}`);
      if (!since.some(({ msg }) => msg === 'the processes are replaced')) throw new Error('not replaced yet');
    },
    { within: RECOVERY_MS, every: 20 },
  );
  return { tookMs: performance.now() - askedAt };
}

/** The same, with an undisturbed time before the next replacement, which does not count. */
async function replacedUnder(
  load: SteadyLoad,
  gateway: DrilledGateway,
  ask: () => Promise<void> | void,
): Promise<Strike> {
  load.phase = 'struck';
  const strike = await replaced(gateway, ask);
  await pause(AFTER_MS);
  load.phase = 'meanwhile';
  await pause(PACE_MS);
  return strike;
}

/** Resolves when the admin port shows a view in which every instance is up. */
async function shown(gateway: DrilledGateway): Promise<void> {
  await eventually(
    async () => {
      const { pools } = await gateway.status();
      const instances = pools.flatMap((pool) => pool.instances);
      if (instances.length === 0 || instances.some(({ health }) => health !== 'up')) {
        throw new Error('the view is not there yet');
      }
    },
    { within: RECOVERY_MS, every: 20 },
  );
}

/** Consecutive configurations always differ. */
function variantOf(turn: number): ConfigVariant {
  return {
    ...USUAL,
    weight: 1 + (turn % 3),
    probeTimeout: turn % 2 === 0 ? '1s' : '900ms',
    withThird: turn % 4 === 1 || turn % 4 === 2,
  };
}

/**
 * It forwards TCP and checks the state; it does not try another server if one refuses. A gateway that is slow
 * because every core is busy is better than none: only its answer or a refusal takes it out.
 */
function haproxyConfig(port: number, stats: number, servers: readonly number[]): string {
  return `defaults
  mode tcp
  timeout connect 5s
  timeout client 90s
  timeout server 90s
  retries 0
listen stats
  bind 127.0.0.1:${stats}
  mode http
  stats enable
  stats uri /
listen gateways
  bind 127.0.0.1:${port}
  balance roundrobin
  option httpchk
  http-check send meth GET uri /sap/wdisp/admin/publicicp/show_init_statepub.icp ver HTTP/1.1 hdr Host balancer
  http-check expect status 200
  timeout check 10s
  default-server check inter 100ms fall 2 rise 2
${servers.map((server, i) => `  server g${i + 1} 127.0.0.1:${server}`).join('\n')}
`;
}

async function pause(ms: number): Promise<void> {
  await new Promise((wake) => {
    setTimeout(wake, ms);
  });
}
