/**
 * Floods every route of the admin port while known agents send requests, and compares their response times with those
 * without a flood, and with those during the same flood of a server that does nothing.
 *
 *   npm run trial admin-flood -- --requests 1000 --rounds 3 --apart
 *
 * With `--apart`, agents, instances and workers have a core of their own, and the controller, Redis and the flood have
 * another one: what is left then is what the flood costs agents by anything but processor time.
 */
import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { formatPasswordLine } from '../../src/core/password-record.ts';
import { hashPassword } from '../../src/passwords/password.ts';
import { table } from '../bench/figures.ts';
import { cpuSecondsOf } from '../bench/processes.ts';
import { startAnswering } from '../pauses/race.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import { post, users } from '../support/load.ts';
import { pin } from '../support/processes.ts';
import { startRedis } from '../support/redis-server.ts';
import type { Answers, Flood } from './flooder.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '100' },
    workers: { type: 'string', default: '1' },
    apart: { type: 'boolean', default: false },
  },
});

const AGENTS = 100;
const BODY_BYTES = 10 * 1_024 * 1_024;
const MOST_RATIO = 1.1;
const SHOWN_COSTS = 12;
const VIEWER = 'a-viewer-of-the-trial-0123';

type Phase = 'quiet' | 'decoy' | 'flood';
/** Processor seconds. */
interface Cost {
  readonly controller: number;
  readonly workers: number;
}
const NO_COST: Cost = { controller: 0, workers: 0 };

interface Measured {
  readonly durations: number[];
  failed: number;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-flood-'));
  writeFileSync(join(folder, 'token'), VIEWER);
  writeFileSync(
    join(folder, 'users'),
    formatPasswordLine(await hashPassword('op', 'geheim', { role: 'operator' })),
  );
  const redis = await startRedis();
  const instances = await Promise.all(['a', 'b'].map(startAnswering));
  const gateway = await startGatewayProcess({
    workers: Number(values.workers),
    admin: {
      address: '127.0.0.1:0',
      passwordFile: join(folder, 'users'),
      tokens: [{ name: 'trial', role: 'viewer', file: join(folder, 'token') }],
    },
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        health: { path: '/' },
        instances: instances.map(({ url }, i) => ({ id: 'ab'.charAt(i), url })),
      },
    ],
    affinity: { redis: { url: redis.url } },
    logging: { requests: false },
  });
  const children = ['decoy', 'flooder'].map((name) => fork(new URL(`./${name}.js`, import.meta.url)));
  const [decoy, flooder] = children as [ChildProcess, ChildProcess];
  try {
    if (values.apart) {
      const { controller = gateway.pid, workers } = childrenOf(gateway.pid);
      pin(0, [process.pid, ...workers.values()]);
      pin(1, [gateway.pid, controller, redis.pid, ...children.map(({ pid = 0 }) => pid)]);
    }
    const [port] = (await once(decoy, 'message')) as [number];
    await measure(gateway, flooder, port);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await gateway.close();
    for (const { server } of instances) {
      server.closeAllConnections();
      server.close();
    }
    await redis.stop();
    rmSync(folder, { recursive: true });
  }
}

async function measure(gateway: GatewayProcess, flooder: ChildProcess, decoyPort: number): Promise<void> {
  const floods = await floodsOf(gateway.adminUrl);
  const agents = users(AGENTS, 'KNOWN');
  await Promise.all(agents.map((user) => post(gateway.url, user)));
  const phases: Record<Phase, Measured> = {
    quiet: { durations: [], failed: 0 },
    decoy: { durations: [], failed: 0 },
    flood: { durations: [], failed: 0 },
  };
  const answered: Record<string, number> = {};
  const { controller = gateway.pid, workers } = childrenOf(gateway.pid);
  const costs = new Map<string, Cost>();
  const spent = (): Cost => ({
    controller: cpuSecondsOf(controller),
    workers: [...workers.values()].reduce((sum, pid) => sum + cpuSecondsOf(pid), 0),
  });
  let phase: Phase = 'quiet';
  const isOver = new AbortController();
  const load = sendSteadily(gateway.url, agents, isOver.signal, () => phases[phase]);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    // In turns, so that each phase meets the same changes of the machine.
    for (const flood of floods) {
      phase = 'decoy';
      const began = performance.now();
      await send(flooder, { ...flood, port: decoyPort });
      const lasted = performance.now() - began;
      phase = 'quiet';
      await sleep(lasted);
      phase = 'flood';
      const before = spent();
      for (const [status, count] of Object.entries(await send(flooder, flood)))
        answered[status] = (answered[status] ?? 0) + count;
      phase = 'quiet';
      const after = spent();
      const { controller: sum, workers: ofWorkers } = costs.get(nameOf(flood)) ?? NO_COST;
      costs.set(nameOf(flood), {
        controller: sum + after.controller - before.controller,
        workers: ofWorkers + after.workers - before.workers,
      });
      await sleep(lasted);
    }
  }
  isOver.abort();
  await load;
  report(floods.length, phases, answered);
  reportCosts(costs);
}

/** Each route without and with a token, with a body of 10 MB, and a log-in with a wrong password. */
async function floodsOf(adminUrl: string): Promise<Flood[]> {
  const authorization = `authorization: Bearer ${VIEWER}`;
  const answer = await fetch(`${adminUrl}/openapi.json`, { headers: { authorization: `Bearer ${VIEWER}` } });
  const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> };
  const { hostname: host, port } = new URL(adminUrl);
  const at = { host, port: Number(port), requests: Number(values.requests), bytes: 0, headers: [] };
  const logIn = {
    ...at,
    method: 'POST',
    path: '/session',
    body: JSON.stringify({ user: 'op', password: 'wrong' }),
  };
  const floods = Object.entries(paths).flatMap(([template, operations]) => {
    const path = template
      .replace('{pool}', 'ici')
      .replace('{instance}', 'a')
      .replace(/\{\w+\}/g, 'KNOWN1');
    return Object.keys(operations).flatMap((name): Flood[] => {
      const method = name.toUpperCase();
      const one = { ...at, method, path };
      // A stream ends with its client, and not before.
      const isEndless = path.endsWith('/stream');
      return [
        one,
        ...(isEndless ? [] : [{ ...one, headers: [authorization] }]),
        { ...one, bytes: BODY_BYTES },
      ];
    });
  });
  return [logIn, ...floods];
}

async function send(flooder: ChildProcess, flood: Flood): Promise<Answers> {
  flooder.send(flood);
  const [answers] = (await once(flooder, 'message')) as [Answers];
  return answers;
}

/** An open loop: a slow answer delays no later request. */
async function sendSteadily(
  url: string,
  agents: readonly string[],
  signal: AbortSignal,
  phase: () => Measured,
): Promise<void> {
  const pauseMs = 1_000 / Number(values.rate);
  const pending = new Set<Promise<void>>();
  let due = performance.now();
  for (let i = 0; !signal.aborted; i += 1) {
    due += pauseMs;
    await sleep(Math.max(0, due - performance.now()));
    const into = phase();
    const one = post(url, agents[i % agents.length] as string).then(({ status, durationMs }) => {
      if (status === 200) into.durations.push(durationMs);
      else into.failed += 1;
    });
    pending.add(one);
    void one.then(() => pending.delete(one));
  }
  await Promise.all(pending);
}

function report(floods: number, phases: Readonly<Record<Phase, Measured>>, answered: Answers): void {
  const figures = (['quiet', 'decoy', 'flood'] as const).map((phase) => {
    const { durations, failed } = phases[phase];
    const sorted = durations.toSorted((a, b) => a - b);
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
    return { phase, requests: sorted.length, failed, p50: at(0.5), p90: at(0.9), p99: at(0.99) };
  });
  const [quiet, decoy, flood] = figures.map(({ p99 }) => p99) as [number, number, number];
  const ms = (value: number): string => value.toFixed(2);
  print(
    `${floods} floods of ${values.requests} requests at once, ${values.rounds} times; statuses: ${JSON.stringify(answered)}\n`,
  );
  print(
    table([
      ['known agents', 'requests', 'failed', 'p50 ms', 'p90 ms', 'p99 ms'],
      ...figures.map(({ phase, requests, failed, p50, p90, p99 }) => [
        {
          quiet: 'without a flood',
          decoy: 'flood of a server that does nothing',
          flood: 'flood of the admin port',
        }[phase],
        ...[requests, failed].map(String),
        ...[p50, p90, p99].map(ms),
      ]),
    ]),
  );
  const [toQuiet, toDecoy] = [flood / quiet, flood / decoy];
  print(
    `\np99 with the flood: ${toQuiet.toFixed(2)} times that without, ${toDecoy.toFixed(2)} times that of the decoy\n`,
  );
  const isHeld = toQuiet <= MOST_RATIO || toDecoy <= MOST_RATIO;
  if (!isHeld || phases.flood.failed > 0) process.exitCode = 1;
}

/** The floods that cost the gateway most. */
function reportCosts(costs: ReadonlyMap<string, Cost>): void {
  const sent = Number(values.requests) * Number(values.rounds);
  const micros = (seconds: number): string => ((seconds / sent) * 1e6).toFixed(0);
  const dearest = [...costs].toSorted(([, a], [, b]) => b.controller - a.controller).slice(0, SHOWN_COSTS);
  print(
    `${table([
      ['µs of processor time for each request', 'controller', 'workers'],
      ...dearest.map(([name, { controller, workers }]) => [name, micros(controller), micros(workers)]),
    ])}\n`,
  );
}

function nameOf({ method, path, headers, bytes, body }: Flood): string {
  const how = [
    headers.length > 0 ? 'with a token' : '',
    bytes > 0 ? 'with 10 MB' : '',
    body === undefined ? '' : 'a log-in',
  ];
  return `${method} ${path} ${how.join('')}`;
}

function print(text: string): void {
  process.stdout.write(text);
}

await main();
