/**
 * Attacks a gateway while 50 agents send requests at a steady rate, and compares their response times with those before
 * each attack, and with those during the same attack on a server that does nothing. Shows beside them what a server of
 * Node without a gateway makes the agents wait under the same attack. Fails if an agent is refused, an operator is
 * locked out, the p99 of the agents more than doubles, or memory exceeds its bound.
 *
 *   npm run trial attacks -- --seconds 300 --apart
 *   npm run trial attacks -- --seconds 60 --only 'slow readers'
 *
 * With `--apart`, agents and workers have a core of their own, and the attackers, instances, Redis and the controller
 * have another one. The two other servers are on the core of that which they stand for.
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { formatPasswordLine } from '../../src/core/password-record.ts';
import { hashPassword } from '../../src/passwords/password.ts';
import { cpuSecondsOf } from '../bench/processes.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf as hostProcessesOf } from '../support/host-processes.ts';
import { post, users } from '../support/load.ts';
import { childrenOf, pin } from '../support/processes.ts';
import { redisCommand } from '../support/redis-command.ts';
import { freePort, startRedis } from '../support/redis-server.ts';
import type { Attack, Progress } from './attacker.ts';
import type { Phase, Result } from './report.ts';
import { check, mb, print, report } from './report.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    rate: { type: 'string', default: '50' },
    names: { type: 'string', default: '5000' },
    /** The name of one attack; all by default. */
    only: { type: 'string' },
    apart: { type: 'boolean', default: false },
  },
});

const AGENTS = 50;
const GIVE_UP_MS = 10_000;
/** Of the time for an attack. */
const SHARES = { quiet: 0.2, decoy: 0.2, bare: 0.2, attack: 0.4 };
const MB = 1_024 * 1_024;

const LIMITS = { connections: 1_000, inFlight: 500 };
const MAX_IN_FLIGHT = 50;
const MAX_BINDINGS = 20_000;
// What a connection, the beginning of a body and a binding take at most.
const CONNECTION_BYTES = 50 * 1_024;
const IDENTITY_BYTES = 64 * 1_024;
const BINDING_BYTES = 500;
/** A heap grows before it is collected. */
const HEAP_SLACK = 150 * MB;

interface Target {
  readonly gateway: GatewayProcess;
  readonly redisPort: number;
  readonly sapPort: number;
  /** The server that does nothing. */
  readonly decoy: Other;
  /** The server of Node without a gateway. */
  readonly bare: Other;
}

interface Other {
  readonly pid: number;
  readonly port: number;
}

const guess = (path: string, type: string, body: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: ${type}\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
const ACCESS_CHECK =
  '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><r:AccessCheck xmlns:r="urn:SAPControl"><function>Stop</function></r:AccessCheck></e:Body></e:Envelope>';
const basic = (password: string): string => `Basic ${Buffer.from(`op:${password}`).toString('base64')}`;

function attacksOn({ gateway, sapPort }: Target): readonly [name: string, attacks: Attack[]][] {
  const port = Number(new URL(gateway.url).port);
  const adminPort = Number(new URL(gateway.adminUrl).port);
  const logIn = JSON.stringify({ user: 'op', password: 'wrong' });
  const wrong = `Authorization: ${basic('wrong')}\r\n`;
  return [
    ['slow bodies', [{ kind: 'slow bodies', port, sockets: 1_500 }]],
    ['slow readers', [{ kind: 'slow readers', port, sockets: 3 * MAX_IN_FLIGHT }]],
    ['idle connections', [{ kind: 'idle connections', port, sockets: 1_500 }]],
    [
      'admin guessers',
      [
        { kind: 'idle connections', port: adminPort, sockets: 105 },
        {
          kind: 'guessers',
          port: adminPort,
          sockets: 30,
          request: guess('/session', 'application/json', logIn),
        },
      ],
    ],
    [
      'SAPControl guessers',
      [
        { kind: 'idle connections', port: sapPort, sockets: 105 },
        {
          kind: 'guessers',
          port: sapPort,
          sockets: 30,
          request: guess('/', 'text/xml', ACCESS_CHECK, wrong),
        },
      ],
    ],
    ['invented names', [{ kind: 'invented names', port, sockets: 3_000, rate: Number(values.names) }]],
  ];
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-attacks-'));
  writeFileSync(
    join(folder, 'users'),
    formatPasswordLine(await hashPassword('op', 'right', { role: 'operator' })),
  );
  writeFileSync(join(folder, 'sap-users'), formatPasswordLine(await hashPassword('op', 'right')));
  const redis = await startRedis();
  const instances = ['a', 'b'].map(() => fork(new URL('./instance.js', import.meta.url)));
  const ports = await Promise.all(
    instances.map(async (child) => (await once(child, 'message'))[0] as number),
  );
  const sapPort = await freePort();
  const modules = [new URL('./decoy.js', import.meta.url), new URL('./bare.js', import.meta.url)];
  const others = modules.map((module) => fork(module, [String(LIMITS.connections)]));
  const [decoy, bare] = (await Promise.all(
    others.map(async (child) => ({ pid: child.pid, port: (await once(child, 'message'))[0] })),
  )) as [Other, Other];
  let gateway: GatewayProcess | undefined;
  try {
    gateway = await startGatewayProcess({
      workers: 1,
      admin: { address: '127.0.0.1:0', passwordFile: join(folder, 'users') },
      sapcontrol: {
        instanceNumber: '07',
        address: `127.0.0.1:${sapPort}`,
        socket: join(folder, 'sap'),
        passwordFile: join(folder, 'sap-users'),
      },
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          health: { path: '/' },
          instances: ports.map((port, i) => ({
            id: 'ab'.charAt(i),
            url: `http://127.0.0.1:${port}`,
            maxInFlight: MAX_IN_FLIGHT,
          })),
        },
      ],
      affinity: { redis: { url: redis.url }, maxBindings: MAX_BINDINGS },
      limits: LIMITS,
      logging: { requests: false },
    });
    if (values.apart) {
      const { controller = gateway.pid, workers } = hostProcessesOf(gateway.pid);
      pin(0, [process.pid, ...workers.values()]);
      pin(1, [gateway.pid, controller, redis.pid, ...instances.map(({ pid = 0 }) => pid)]);
    }
    await attackAll({ gateway, redisPort: redis.port, sapPort, decoy, bare });
  } finally {
    for (const child of [...others, ...instances]) child.kill('SIGKILL');
    await gateway?.close();
    await redis.stop();
    rmSync(folder, { recursive: true });
  }
}

async function attackAll(target: Target): Promise<void> {
  const { gateway, redisPort } = target;
  const agents = users(AGENTS, 'KNOWN');
  for (const user of agents) await post(gateway.url, user);
  const rssBefore = residentBytes(gateway.pid);
  const redisBefore = await usedMemory(redisPort);
  const attacks = attacksOn(target).filter(([name]) => values.only === undefined || values.only === name);
  const partMs = (Number(values.seconds) * 1_000) / attacks.length;
  const results: Result[] = [];
  for (const [name, parts] of attacks) {
    // The attackers of the one before have ended, and their connections with them.
    await sleep(1_000);
    results.push(await attack(name, parts, target, agents, partMs));
  }
  report(results);
  const names = results.find(({ name }) => name === 'invented names');
  if (names !== undefined) {
    const reached = names.progress.opened / ((partMs / 1_000) * SHARES.attack);
    print(`invented names: ${reached.toFixed(0)} a second of the wanted ${values.names}\n`);
  }
  const rss = Math.max(...results.map((result) => result.rss));
  const rssBound =
    rssBefore + HEAP_SLACK + LIMITS.connections * CONNECTION_BYTES + 2 * LIMITS.inFlight * IDENTITY_BYTES;
  const redisAfter = await usedMemory(redisPort);
  const redisBound = redisBefore + MAX_BINDINGS * BINDING_BYTES;
  check(
    `gateway processes: ${mb(rssBefore)} before, ${mb(rss)} at most; bound ${mb(rssBound)}`,
    rss <= rssBound,
  );
  check(
    `Redis: ${mb(redisBefore)} before, ${mb(redisAfter)} after; bound ${mb(redisBound)}`,
    redisAfter <= redisBound,
  );
}

async function attack(
  name: string,
  parts: readonly Attack[],
  target: Target,
  agents: readonly string[],
  ms: number,
): Promise<Result> {
  const { gateway, decoy, bare } = target;
  const phases = Object.fromEntries(
    Object.keys(SHARES).map((phase) => [phase, { durations: [], refused: 0 }]),
  ) as unknown as Record<keyof typeof SHARES, Phase>;
  const send = (phase: keyof typeof SHARES, url = gateway.url): Promise<void> =>
    sendSteadily(url, agents, ms * SHARES[phase], phases[phase]);
  const attackOther = async ({ port }: Other, sending: () => Promise<void>): Promise<void> => {
    const attackers = await startAttackers(parts.map((part) => ({ ...part, port })));
    await sending();
    for (const { child } of attackers) child.kill('SIGKILL');
    await sleep(1_000);
  };
  await send('quiet');
  const isOnTraffic = parts.some(({ port }) => port === Number(new URL(gateway.url).port));
  if (values.apart) pin(isOnTraffic ? 0 : 1, [decoy.pid, bare.pid]);
  await attackOther(decoy, () => send('decoy'));
  await attackOther(bare, () => send('bare', `http://127.0.0.1:${bare.port}`));
  const attackers = await startAttackers(parts);
  let rss = 0;
  const watch = setInterval(() => {
    rss = Math.max(rss, residentBytes(gateway.pid));
  }, 500);
  const operators = { asked: 0, refused: 0 };
  const operating = operate(target, performance.now() + ms * SHARES.attack, operators);
  const [begunAt, spent] = [performance.now(), workerSeconds(gateway.pid)];
  await send('attack');
  const workers = (workerSeconds(gateway.pid) - spent) / ((performance.now() - begunAt) / 1_000);
  await operating;
  clearInterval(watch);
  for (const { child } of attackers) child.kill('SIGKILL');
  const { progress } = attackers.at(-1) as Attacker;
  return { name, ...phases, progress: progress(), operators, workers, rss };
}

/** The processor time of all workers. */
function workerSeconds(pid: number): number {
  return [...hostProcessesOf(pid).workers.values()].reduce((sum, worker) => sum + cpuSecondsOf(worker), 0);
}

interface Attacker {
  readonly child: ChildProcess;
  progress(): Progress;
}

/** Resolves when they have begun. */
async function startAttackers(parts: readonly Attack[]): Promise<Attacker[]> {
  const attackers = parts.map(startAttacker);
  if (values.apart)
    pin(
      1,
      attackers.map(({ child: { pid = 0 } }) => pid),
    );
  await Promise.all(attackers.map(({ child }) => once(child, 'message')));
  return attackers;
}

function startAttacker(attack: Attack): Attacker {
  const child = fork(new URL('./attacker.js', import.meta.url));
  let last: Progress = { opened: 0, closed: 0, answers: {} };
  child.on('message', (progress: Progress) => {
    last = progress;
  });
  child.send(attack);
  return { child, progress: () => last };
}

/** An open loop: a slow answer delays no later request. */
async function sendSteadily(url: string, agents: readonly string[], ms: number, into: Phase): Promise<void> {
  const pauseMs = 1_000 / Number(values.rate);
  const pending: Promise<void>[] = [];
  const begunAt = performance.now();
  for (let i = 0; i * pauseMs < ms; i += 1) {
    await sleep(Math.max(0, begunAt + i * pauseMs - performance.now()));
    const user = agents[i % agents.length] as string;
    pending.push(
      post(url, user, {}, 'getAttributes', { giveUpMs: GIVE_UP_MS }).then(({ status, durationMs }) => {
        into.durations.push(durationMs);
        if (status !== 200) into.refused += 1;
      }),
    );
  }
  await Promise.all(pending);
}

/** An operator calls SAPControl and logs in at the admin port, from the address of the agents. */
async function operate(
  { gateway, sapPort }: Target,
  until: number,
  into: Result['operators'],
): Promise<void> {
  while (performance.now() < until) {
    const calls = [
      fetch(`http://127.0.0.1:${sapPort}/`, {
        method: 'POST',
        body: ACCESS_CHECK,
        headers: { authorization: basic('right') },
      }),
      fetch(`${gateway.adminUrl}/session`, {
        method: 'POST',
        body: JSON.stringify({ user: 'op', password: 'right' }),
        headers: { 'content-type': 'application/json' },
      }),
    ];
    for (const call of calls) {
      into.asked += 1;
      const answer = await call.catch(() => undefined);
      await answer?.text();
      if (answer?.status !== 200) into.refused += 1;
    }
    await sleep(1_000);
  }
}

/** Of a process and its children. */
function residentBytes(pid: number): number {
  return [pid, ...childrenOf(pid).map((child) => child.pid)].reduce((sum, each) => {
    const [, kb = '0'] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${each}/status`, 'utf8')) ?? [];
    return sum + Number(kb) * 1_024;
  }, 0);
}

async function usedMemory(port: number): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redisCommand(port, 'INFO', 'memory'))?.[1]);
}

await main();
