/**
 * Does the promise hold for hours? Three gateways, five instances and Redis under Sentinel, as processes, under the load of
 * 2,000 agents with shifts, while one or two random faults at a time come and go.
 *
 *   npm run trial soak -- [--minutes 60] [--seed 1] [--agents 2000] [--network namespaces|proxy] [--page FILE]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { networkOf } from '../chaos/choose-network.ts';
import type { Network } from '../chaos/network.ts';
import { agentName, processesOf } from '../chaos/scenarios.ts';
import type { Stage } from '../chaos/stage.ts';
import { setStage } from '../chaos/stage.ts';
import type { Arrival } from '../support/arrivals.ts';
import { sendSignal } from '../support/processes.ts';
import { isUsage, Usage } from '../support/usage.ts';
import { Account, clock } from './account.ts';
import { check } from './checker.ts';
import { conduct } from './conduct.ts';
import { agentOf, Crew } from './crew.ts';
import type { Kind } from './faults.ts';
import { KINDS } from './faults.ts';
import { findingsOf, pageOf, promisesOf, storyOf } from './page.ts';
import { CALM, planOf, titleOf } from './plan.ts';
import { Sampler, trendsOf } from './sampler.ts';
import type { Happened } from './windows.ts';
import { blamed } from './windows.ts';

const INSTANCES = ['a', 'b', 'c', 'd', 'e'] as const;
const GATEWAYS = 3;
const GRACE_MS = 30_000;
const MOST_MINUTES = 240;

const HELP = `Usage: npm run trial soak -- [options]

Causes random faults, one or two at a time, and judges by the deliveries at the instances. Ends with a page, and with 1 if a
promise was broken. Ctrl-C ends it early, with the page of what was run.

  --minutes <n>      from the moment when all agents are logged on, up to ${MOST_MINUTES} (60)
  --seed <n>         the same seed and minutes cause the same faults at the same times (1)
  --agents <n>       from 100 to 2000 (2000)
  --only <name>      only this kind of fault; may be given several times
  --network <kind>   namespaces (needs root and iproute2) or proxy; default: what is possible
  --page <file>      write the page there too
  --plan             print the faults, and end
  --help

Faults:
${KINDS.map(({ name, title }) => `  ${name.padEnd(26)} ${title}`).join('\n')}
`;

const { values } = parse();

function parse() {
  try {
    return parseArgs({
      options: {
        minutes: { type: 'string', default: '60' },
        seed: { type: 'string', default: '1' },
        agents: { type: 'string', default: '2000' },
        only: { type: 'string', multiple: true },
        network: { type: 'string' },
        page: { type: 'string' },
        plan: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    if (!isUsage(error)) throw error;
    say(error.message);
    return process.exit(2);
  }
}

function numberOf(flag: 'minutes' | 'seed' | 'agents', least: number, most: number): number {
  const number = Number(values[flag]);
  if (number >= least && number <= most) return number;
  throw new Usage(`--${flag} must be from ${least} to ${most}`);
}

function kindsOf(names: readonly string[] | undefined): readonly Kind[] {
  const unknown = names?.find((name) => !KINDS.some((kind) => kind.name === name));
  if (unknown !== undefined) throw new Usage(`--only: there is no fault ${unknown}; --help lists them`);
  return KINDS.filter(({ name }) => names?.includes(name) ?? true);
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const minutes = numberOf('minutes', 0.5, MOST_MINUTES);
  const seed = numberOf('seed', 0, 2 ** 31);
  const agents = numberOf('agents', 100, 2_000);
  const kinds = kindsOf(values.only);
  const plan = planOf({ seed, minutes, kinds, gateways: GATEWAYS, instances: INSTANCES.length });
  if (values.plan) {
    for (const one of plan.flat())
      process.stdout.write(`${(one.atMs / 1_000).toFixed(1)} s: ${titleOf(one)}\n`);
    return 0;
  }
  const { open, note } = networkOf(values.network);

  // All started programs keep their files in here.
  const directory = mkdtempSync(join(tmpdir(), 'ici-soak-'));
  process.env['TMPDIR'] = directory;
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  let stage: Stage | undefined;
  let network: Network | undefined;
  const tidy = async (): Promise<void> => {
    // A stopped process would not see the end of its supervisor.
    for (const gateway of stage?.gateways ?? [])
      for (const pid of processesOf(gateway)) if (pid > 0) sendSignal(pid, 'SIGCONT');
    await stage?.close();
    await network?.close();
    stage = undefined;
  };
  const interrupted = new AbortController();
  let code = 0;
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.on(signal, () => {
      code = 128 + number;
      if (interrupted.signal.aborted) {
        void tidy().finally(() => process.exit(code));
        return;
      }
      say('ends, and shows what was seen so far; once more ends at once');
      interrupted.abort();
    });
  }

  try {
    say(`network: ${note}; starting`);
    stage = await setStage(
      async () => {
        network = await open();
        return network;
      },
      { withPeers: true, profile: 'careful', instances: INSTANCES, gateway: gatewayOptions() },
    );
    const isMet = await soak(stage, { minutes, seed, agents, plan, signal: interrupted.signal });
    return code === 0 && !isMet ? 1 : code;
  } finally {
    await tidy();
  }
}

/** Beside the addresses, pools and stores of the set-up. */
function gatewayOptions(): Record<string, unknown> {
  return {
    workers: 2,
    // This program would read the lines, and it shares the processor with all others.
    logging: { requests: false },
    identity: {
      logon: ['subscribe'],
      logoff: ['unsubscribe', { operation: 'setCurrentWorkmode', element: 'workmode', value: '1' }],
      logoffGrace: `${GRACE_MS}ms`,
    },
  };
}

interface Settings {
  readonly minutes: number;
  readonly seed: number;
  readonly agents: number;
  readonly plan: ReturnType<typeof planOf>;
  readonly signal: AbortSignal;
}

/** Resolves with whether all promises were kept. */
async function soak(stage: Stage, { minutes, seed, agents, plan, signal }: Settings): Promise<boolean> {
  const happened: Happened[] = [];
  const account = new Account(happened);
  const loop = monitorEventLoopDelay();
  loop.enable();
  const crew = new Crew({ url: stage.balancer.url, agents, minutes, seed, account });
  let sampler: Sampler | undefined;
  try {
    say(`${agents} agents log on`);
    await crew.logOn(signal);
    crew.beginShifts();
    sampler = new Sampler(stage.gateways);
    const from = performance.now();
    account.open(from);
    loop.reset();
    const forMs = minutes * 60_000;
    const conducted = await conduct(stage, plan, happened, { startedAt: from, forMs, signal, say });
    const to = performance.now();
    // After an early end there was no calm in which they could have been served.
    const stranded = account.close(to, signal.aborted ? from : to - CALM.last);
    sampler.close();
    loop.disable();
    const { logons } = crew;
    say('agents log off');
    await crew.stop();
    const arrivals = await arrivalsAt(stage);
    const checked = check(arrivals, {
      requests: crew.requests,
      faults: happened,
      loggedOff: crew.loggedOff,
      graceMs: GRACE_MS,
      isOfFailover: (agent) => agent.startsWith(agentName('failover', 0).replace(/\d+$/, '')),
      hasProxy: stage.network.kind === 'proxy',
    });
    const run = {
      ...{ seed, agents, from, to, account, checked, conducted, happened, stranded },
      setUp: setUpOf(stage),
      logons,
      isWhole: !signal.aborted,
      corrupted: crew.corrupted,
      stalledMs: loop.max / 1e6,
      resets: stage.balancer.resets
        .filter(({ at }) => at <= to && blamed(happened, at, at).length === 0)
        .map(({ at, why }) => `balancer: ${why} at ${clock(at)}`),
      readings: sampler.readings,
      trends: trendsOf(sampler.readings, from, to),
      spared: `g${GATEWAYS}`,
    };
    for (const line of [...storyOf(run), ...findingsOf(run)]) say(line);
    const page = pageOf(run);
    process.stdout.write(page);
    if (values.page !== undefined) writeFileSync(values.page, page);
    return promisesOf(run).every(({ isKept }) => isKept);
  } finally {
    sampler?.close();
    await crew.stop();
  }
}

async function arrivalsAt(stage: Stage): Promise<Arrival[]> {
  const all = await Promise.all(
    stage.instances.map(async ({ name, arrivals }) =>
      (await arrivals()).map(({ id, at, incarnation }) => ({
        id,
        at,
        agent: agentOf(id),
        instance: name,
        incarnation: `${name} ${incarnation}`,
      })),
    ),
  );
  return all.flat();
}

function setUpOf({ network }: Stage): string {
  let commit = '';
  try {
    commit = `, commit ${execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim()}`;
  } catch {
    // Not in a clone.
  }
  const hardware = `${availableParallelism()} cores, Node ${process.versions.node}`;
  return `${new Date().toISOString()}, ${hardware}, network: ${network.kind}${commit}; three gateways with two workers each, five instances, Redis under Sentinel; default settings, with peers and log-off, without a log line for each request`;
}

/** Progress goes to stderr, so that stdout is the page alone. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!isUsage(error)) throw error;
  say(error.message);
  process.exitCode = 2;
}
