/**
 * Can a gateway of the last release and one of this tree share a Redis? Starts both, runs agents through them, and
 * counts the agents that arrive at each instance, while instances, gateways and Redis are restarted and one release replaces
 * the other.
 *
 *   npm run trial releases -- [--old REF] [--agents N] [--rate N]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ConnectorProcess } from '../../src/simulator/connector-process.ts';
import { startConnectorProcess } from '../../src/simulator/connector-process.ts';
import type { Arrival, Move } from '../support/arrivals.ts';
import { whereaboutsIn } from '../support/arrivals.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { PROGRAM, startGatewayProcess } from '../support/gateway-process.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { startRedis } from '../support/redis-server.ts';
import { Traffic } from './traffic.ts';

/** The last release, if no tag names one. */
const LAST_RELEASE = 'e4f17c7';

const USAGE = `Usage: npm run trial releases -- [options]

Lets a gateway of an earlier release and one of this tree share a Redis under load. Takes about two minutes. Ends with 1
if an agent was split, a request arrived twice, or an agent was not served in the end.

  --old <ref>     the earlier release (default: the newest tag v*, else ${LAST_RELEASE})
  --agents <n>    new agents in each step (60)
  --rate <n>      requests per second (150)
  --help
`;

const root = resolve(import.meta.dirname, '../../..');
const READY_MS = 60_000;
const FORGOTTEN = 40;

type Release = 'old' | 'new';

class Problem extends Error {}

function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** The commit of the earlier release. */
function commitOf(asked: string | undefined): string {
  const ref = asked ?? git('describe', '--tags', '--abbrev=0', '--match', 'v*') ?? LAST_RELEASE;
  const commit = git('rev-parse', '--verify', '--quiet', `${ref}^{commit}`);
  if (commit !== undefined) return commit;
  const isShallow = git('rev-parse', '--is-shallow-repository') === 'true';
  const remedy = isShallow
    ? 'this clone is shallow; fetch the history with: git fetch --unshallow --tags'
    : 'name an existing one with --old';
  throw new Problem(`there is no commit ${ref} of an earlier release here: ${remedy}`);
}

/** Builds the release in a separate folder, with the packages installed here. Returns its main file. */
function build(commit: string, folder: string): string {
  mkdirSync(folder);
  const archive = execFileSync('git', ['archive', commit], { cwd: root, maxBuffer: 256 * 1024 * 1024 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const { status, stdout } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const main = join(folder, 'dist/main.js');
  if (status !== 0 || !existsSync(main)) throw new Problem(`${commit} does not build:\n${stdout}`);
  return main;
}

interface Line {
  readonly step: string;
  readonly requests: number;
  readonly refused: number;
  readonly failed: number;
  readonly splits: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
  readonly why: string;
}

/** Everything that runs, and the steps of the trial. */
class Site {
  readonly instances: ConnectorProcess[] = [];
  /** The times at which each instance was killed. */
  readonly #deaths = new Map<string, number[]>();
  /** When each agent was forgotten, from request to answer. */
  readonly #forgets = new Map<string, { readonly begunAt: number; readonly endedAt: number }[]>();
  readonly #token = writeTokenFile();
  readonly gateways = new Map<string, GatewayProcess>();
  readonly traffic: Traffic;
  readonly lines: Line[] = [];
  readonly splits: Move[] = [];
  /** Requests that arrived more than once. */
  repeated: readonly string[] = [];
  #names = 0;
  #redis: Awaited<ReturnType<typeof startRedis>> | undefined;
  readonly #mains: Readonly<Record<Release, string>>;
  readonly #agents: number;

  constructor(mains: Readonly<Record<Release, string>>, agents: number, rate: number) {
    this.#mains = mains;
    this.#agents = agents;
    this.traffic = new Traffic(rate);
  }

  async start(): Promise<void> {
    this.#redis = await startRedis();
    for (const name of ['a', 'b', 'c'])
      this.instances.push(await startConnectorProcess({ name, program: PROGRAM }));
  }

  async close(): Promise<void> {
    await this.traffic.stop();
    await Promise.all([...this.gateways.values()].map((gateway) => gateway.close()));
    for (const instance of this.instances) await instance.close();
    await this.#redis?.stop();
    this.#token.remove();
  }

  /** Starts a gateway under a name, which is also the name of its replica. */
  async up(name: string, release: Release): Promise<void> {
    const config = {
      workers: 1,
      admin: { address: '127.0.0.1:0', tokenFile: this.#token.path },
      coordination: { replica: name },
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          // No two gateways make the same proposal, so that only the agreement can make them act alike.
          balancer: 'random',
          // Even on a busy machine only a killed instance, which refuses connections, is down.
          health: { path: '/health', incarnation: '"incarnation":"([^"]+)"', timeout: '30s' },
          instances: this.instances.map((instance) => ({ id: instance.name, url: instance.url })),
        },
      ],
      // Long, because the effect of a busy machine on a short time-out is not the subject.
      affinity: { keyPrefix: 'releases', redis: { url: this.#redis?.url, commandTimeout: '2s' } },
      logging: { requests: false },
    };
    const main = this.#mains[release];
    const gateway = await startGatewayProcess(config, { main, readyMs: READY_MS }).catch((error: Error) => {
      throw new Problem(`gateway ${name} (${release}) refuses to start: ${error.message}`);
    });
    this.gateways.set(name, gateway);
    this.traffic.add(name, gateway.url);
  }

  /** Like a balancer: stops sending requests first. */
  async down(name: string): Promise<void> {
    await this.traffic.remove(name);
    await this.gateways.get(name)?.close();
    this.gateways.delete(name);
  }

  async kill(name: string): Promise<void> {
    const removed = this.traffic.remove(name);
    await this.gateways.get(name)?.kill();
    await removed;
    await this.gateways.get(name)?.close();
    this.gateways.delete(name);
  }

  async killInstance(index: number): Promise<void> {
    const instance = this.instances[index] as ConnectorProcess;
    this.#deaths.set(instance.name, [...(this.#deaths.get(instance.name) ?? []), performance.now()]);
    await instance.kill();
  }

  async startInstance(index: number): Promise<void> {
    await this.instances[index]?.restart();
  }

  async #arrivals(): Promise<Arrival[]> {
    const all = this.instances.map(async ({ name, arrivals }) =>
      (await arrivals()).map(({ id, at, incarnation }) => {
        const agent = id.slice(0, id.indexOf('.'));
        return { id, at, agent, instance: name, incarnation: `${name} ${incarnation}` };
      }),
    );
    return (await Promise.all(all)).flat();
  }

  /** The messages that the gateways have logged in this step, with their numbers. */
  #told(): string[] {
    return [...this.gateways].flatMap(([name, { log }]) => {
      const counts = new Map<string, number>();
      for (const { msg } of log) counts.set(msg, (counts.get(msg) ?? 0) + 1);
      return [...counts].map(([msg, count]) => `${name}: ${count} × ${msg}`);
    });
  }

  async restartRedis(): Promise<void> {
    await this.#redis?.kill();
    await pause(1_000);
    await this.#redis?.start();
  }

  /** An operator ends the bindings of some agents through this gateway, while their requests come through all. */
  async forget(name: string, count: number): Promise<void> {
    const adminUrl = this.gateways.get(name)?.adminUrl ?? '';
    for (const agent of this.traffic.agents.slice(0, count)) {
      const body = { agent: agent.name, why: 'a trial' };
      const begunAt = performance.now();
      const { status, body: answer } = await ask(adminUrl, 'POST', '/pools/ici/agents/forget', body);
      if (status !== 200) throw new Problem(`${agent.name} is not forgotten: ${JSON.stringify(answer)}`);
      const forget = { begunAt, endedAt: performance.now() };
      this.#forgets.set(agent.name, [...(this.#forgets.get(agent.name) ?? []), forget]);
    }
  }

  /** New agents, half of them by each naming, over some seconds. */
  async newAgents(): Promise<void> {
    this.#names += 1;
    const half = Math.ceil(this.#agents / 2);
    await this.traffic.logOn(`H${this.#names}N`, half, 'header', 1_500);
    await this.traffic.logOn(`B${this.#names}N`, half, 'body', 1_500);
  }

  async step(name: string, run: () => Promise<void>): Promise<void> {
    await run();
    await pause(1_500);
    // Each act allows one change of the instance.
    const acts = new Map([...this.#forgets].map(([agent, forgets]) => [agent, [...forgets]]));
    const wasForgotten = (left: Arrival, at: number): boolean => {
      const ofAgent = acts.get(left.agent) ?? [];
      const act = ofAgent.findIndex(({ begunAt, endedAt }) => left.at <= endedAt && begunAt <= at);
      if (act !== -1) ofAgent.splice(act, 1);
      return act !== -1;
    };
    const { splits: all, repeated } = whereaboutsIn(await this.#arrivals(), {
      mayLeave: (left, at) =>
        this.#deaths.get(left.instance)?.some((death) => left.at <= death && death <= at) === true ||
        wasForgotten(left, at),
      request: (id) => this.traffic.times.get(id),
    });
    this.repeated = repeated;
    const own = all.slice(this.splits.length);
    this.splits.push(...own);
    const { requests, refused, failed, why, p99Ms, slowestMs } = this.traffic.take();
    const reasons = [...why].map(([code, count]) => `${code} × ${count}`).join(', ');
    const line = {
      step: name,
      requests,
      refused,
      failed,
      splits: own.length,
      p99Ms,
      slowestMs,
      why: reasons,
    };
    this.lines.push(line);
    say(
      `${name}: ${requests} requests, ${refused} refused, ${failed} failed, ${own.length} splits, p99 ${ms(p99Ms)}, slowest ${ms(slowestMs)}${reasons === '' ? '' : ` (${reasons})`}`,
    );
    if (own.length > 0) for (const told of this.#told()) say(`  ${told}`);
    for (const { log } of this.gateways.values()) log.length = 0;
    for (const { from, to } of own.slice(0, 5))
      say(
        `  ${from.agent}: ${from.id} at ${from.incarnation}, ${to.id} ${ms(to.at - from.at)} later at ${to.incarnation}`,
      );
  }
}

async function run(site: Site): Promise<void> {
  await site.start();
  await site.up('g1', 'old');
  await site.up('g2', 'new');
  site.traffic.start();
  await site.step('old and new side by side', async () => {
    await site.newAgents();
    await site.newAgents();
  });
  await site.step('agents are forgotten through the new gateway', () => site.forget('g2', FORGOTTEN));
  await site.step('an instance is killed and comes back', async () => {
    await site.killInstance(0);
    await site.newAgents();
    await site.startInstance(0);
    await pause(3_000);
  });
  await site.step('the old gateway restarts', async () => {
    await site.down('g1');
    await site.newAgents();
    await site.up('g1', 'old');
    await site.newAgents();
  });
  await site.step('the new gateway is killed and starts again', async () => {
    await site.kill('g2');
    await site.newAgents();
    await site.up('g2', 'new');
    await site.newAgents();
  });
  await site.step('Redis is killed and comes back empty', async () => {
    await site.restartRedis();
    await pause(5_000);
    await site.newAgents();
  });
  await site.step('the new release replaces the old one', async () => {
    await site.down('g1');
    await site.up('g1', 'new');
    await site.newAgents();
  });
  await site.step('the old release replaces the new one', async () => {
    for (const name of ['g1', 'g2']) {
      await site.down(name);
      await site.up(name, 'old');
      await site.newAgents();
    }
  });
  await site.step('an instance is killed under the old release alone', async () => {
    await site.killInstance(1);
    await pause(4_000);
    await site.startInstance(1);
  });
  await site.step('the new release replaces the old one again', async () => {
    for (const name of ['g1', 'g2']) {
      await site.down(name);
      await site.up(name, 'new');
      await site.newAgents();
    }
  });
  await site.step('agents are forgotten under the new release alone', () => site.forget('g1', FORGOTTEN));
  await site.traffic.stop();
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      old: { type: 'string' },
      agents: { type: 'string', default: '60' },
      rate: { type: 'string', default: '150' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const commit = commitOf(values.old);
  const directory = mkdtempSync(join(tmpdir(), 'ici-releases-'));
  process.env['TMPDIR'] = directory;
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  say(`old: ${git('log', '-1', '--format=%h %s', commit)}`);
  say(`new: this tree, at ${git('log', '-1', '--format=%h %s')}`);
  const mains = { old: build(commit, join(directory, 'old')), new: join(root, 'dist/main.js') };
  const site = new Site(mains, Number(values.agents), Number(values.rate));
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => void site.close().finally(() => process.exit(code)));
  }
  try {
    await run(site);
  } finally {
    await site.close();
  }
  const { agents, served, leftOut } = site.traffic;
  if (leftOut > 0) say(`this machine was too busy for the rate: ${leftOut} requests were left out`);
  const unserved = agents.filter(({ name }) => !served.has(name)).map(({ name }) => name);
  const total = site.lines.reduce((sum, { requests }) => sum + requests, 0);
  const { length: repeated } = site.repeated;
  process.stdout.write(
    `releases: ${total} requests of ${agents.length} agents, ${site.splits.length} splits, ${repeated} arrived twice, ${unserved.length} agents not served in the end${unserved.length > 0 ? ` (${unserved.slice(0, 5).join(', ')})` : ''}\n`,
  );
  return site.splits.length + repeated + unserved.length === 0 ? 0 : 1;
}

function pause(forMs: number): Promise<void> {
  return new Promise((wake) => {
    setTimeout(wake, forMs);
  });
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  say(error.message);
  process.exitCode = 2;
}
