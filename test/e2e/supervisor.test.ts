import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { isAlive } from '../../src/core/process-alive.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { PROGRAM, startGatewayProcess } from '../support/gateway-process.ts';
import type { Outcome } from '../support/load.ts';
import { post, users } from '../support/load.ts';
import type { ProcessInfo } from '../support/processes.ts';
import { childrenOf } from '../support/processes.ts';
import { WireClient } from '../support/wire.ts';

// On a busy machine a process takes several times as long to start.
const PATIENT = { within: 90_000 };
// A pause between requests; otherwise the test would measure its own clients.
const PAUSE_MS = 20;

let connector: SimulatedConnector;
let gateway: GatewayProcess;
let directory: string;
let tokenFile: string;

/** One gateway for all tests of a block, in their order: a start costs more than most tests. */
function share(workers: number, more: Record<string, unknown> = {}, whileStarting = false): void {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ici-gateway-host-'));
    tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, 'a-token-of-this-test\n', { mode: 0o600 });
    connector = await startConnector({ name: 'a' });
    gateway = await startGatewayProcess(
      {
        ...more,
        workers,
        admin: { address: '127.0.0.1:0', tokenFile },
        pools: [
          {
            name: 'ici',
            mode: 'sticky',
            health: { path: '/health', interval: '300ms', fastInterval: '100ms' },
            instances: [{ id: 'a', url: connector.url }],
          },
        ],
        coordination: { lease: '1s' },
        // On a busy machine a controller may take longer than a lease to start; no limit may fail requests meanwhile.
        timeouts: { park: '30s' },
        affinity: {
          keyPrefix: `host-${randomBytes(4).toString('hex')}`,
          redis: { url: inject('redisUrl') },
        },
      },
      { whileStarting },
    );
  });

  afterAll(async () => {
    await gateway.close();
    await connector.close();
    rmSync(directory, { recursive: true });
  });
}

const one = (role: string): ProcessInfo => {
  const found = childrenOf(gateway.pid).find(({ title }) => title.startsWith(`ici-gateway: ${role}`));
  if (found === undefined) throw new Error(`no ${role} lives`);
  return found;
};
/** Resolves when all processes are there: the standby process starts last, and replaced ones end later. */
const processes = (workers: number): Promise<number[]> =>
  eventually(() => {
    const titles = childrenOf(gateway.pid).map(({ title }) => title.replace(/-\d+$/, ''));
    expect(titles.sort()).toEqual([
      'ici-gateway: controller',
      'ici-gateway: spare',
      ...Array.from({ length: workers }, () => 'ici-gateway: worker'),
    ]);
    return childrenOf(gateway.pid).map(({ pid }) => pid);
  }, PATIENT);
const logged = (msg: string): boolean => gateway.log.some((line) => line.msg === msg);
const failures = (outcomes: readonly Outcome[]): Outcome[] => outcomes.filter(({ status }) => status !== 200);

/** Runs a command of the built program. Rejects with its output if it fails. */
const command = (...args: string[]): Promise<unknown> => {
  const [node, ...main] = PROGRAM as [string, ...string[]];
  return promisify(execFile)(node, [
    ...main,
    ...args,
    '--admin',
    gateway.adminUrl,
    '--token-file',
    tokenFile,
  ]);
};

/** Sends one request after the other over new connections, with pauses, until `stop` is called, which returns all outcomes. */
function keepSending(): { stop(): Promise<Outcome[]> } {
  let isOver = false;
  const client = async (user: string): Promise<Outcome[]> => {
    const outcomes: Outcome[] = [];
    while (!isOver) {
      outcomes.push(await post(gateway.url, user));
      await setTimeout(PAUSE_MS);
    }
    return outcomes;
  };
  const clients = Promise.all(users(4, 'AGENT').map(client));
  return {
    stop: async () => {
      isOver = true;
      return (await clients).flat();
    },
  };
}

describe('a gateway of several processes', { tags: 'long' }, () => {
  let asked = 0;
  /** Sends one request for each of this many agents, all at once. */
  const ask = (agents: number): Promise<Outcome[]> => {
    asked += agents;
    return Promise.all(users(agents, 'AGENT').map((user) => post(gateway.url, user)));
  };
  share(1, {}, true);

  test('carries out a reload that was requested during its start', async () => {
    await eventually(
      () => expect(readFileSync(`/proc/${gateway.pid}/cmdline`, 'utf8')).toMatch(/^ici-gateway/),
      { every: 5 },
    );
    gateway.signal('SIGHUP');
    await eventually(() => expect(logged('the processes are replaced')).toBe(true), PATIENT);
    expect(failures(await ask(1))).toEqual([]);
  });

  test('keeps the counters of a worker even if the controller crashes first and the worker right after it', {
    tags: 'long',
  }, async () => {
    await processes(1);
    const [worker, controller] = [one('worker'), one('controller')];
    expect(failures(await ask(30))).toEqual([]);
    process.kill(controller.pid, 'SIGKILL');
    await eventually(() => expect(one('controller').pid).not.toBe(controller.pid), PATIENT);
    await eventually(async () => expect((await gateway.status()).state).toBe('Running'), PATIENT);
    // A controller does not wait long for its workers. A worker that reports a newer request has said hello before.
    const held = await WireClient.open(Number(new URL(gateway.url).port));
    // Too long to be held, so it is in flight before all of it has arrived.
    held.send('POST / HTTP/1.1\r\nHost: ici.example\r\nsoapuser: HELD\r\nContent-Length: 100000\r\n\r\nx');
    await eventually(async () => expect((await gateway.status()).inFlight).toBe(1));
    // No scrape of /metrics has collected the worker's counters so far.
    process.kill(worker.pid, 'SIGKILL');
    held.leave();
    await eventually(() => expect(one('worker').pid).not.toBe(worker.pid), PATIENT);
    await eventually(async () => {
      const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
      const counts = [...text.matchAll(/^gateway_requests_total\{[^}]*\} (\d+)$/gm)];
      expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(asked);
    });
  });

  test('continues its counters and what it knows of probes when processes are replaced, and keeps its own start time', {
    tags: 'long',
  }, async () => {
    const counted = async () => {
      const text = await gateway.metrics();
      const sum = (name: string): number =>
        [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
          (all, [, value]) => all + Number(value),
          0,
        );
      return {
        processor: sum('process_cpu_seconds_total'),
        collections: sum('nodejs_gc_duration_seconds_count'),
        // Only in the controller.
        operations: sum('gateway_ledger_operations_total'),
        start: sum('process_start_time_seconds'),
        probedSince: (await gateway.status()).pools[0]?.instances[0]?.answers?.since,
      };
    };
    const replaced = (controller: number): Promise<void> =>
      eventually(async () => {
        expect(one('controller').pid).not.toBe(controller);
        expect((await gateway.status()).state).toBe('Running');
      }, PATIENT);
    const startedAt = Date.parse((await gateway.status()).startedAt);
    let before = await counted();
    for (const replace of [
      () => void gateway.signal('SIGHUP'),
      () => void process.kill(one('controller').pid, 'SIGKILL'),
    ]) {
      const { pid } = one('controller');
      replace();
      await replaced(pid);
      const after = await counted();
      expect(after.processor).toBeGreaterThanOrEqual(before.processor);
      expect(after.probedSince).toBe(before.probedSince);
      expect(before.probedSince).toBeDefined();
      expect(after.collections).toBeGreaterThanOrEqual(before.collections);
      expect(after.operations).toBeGreaterThanOrEqual(before.operations);
      expect(after.start * 1_000).toBe(startedAt);
      before = after;
    }
    await processes(1);
  });

  test('handles signals in its supervisor only, which ends the other processes first', async () => {
    const children = await processes(1);
    // Like Ctrl-C on a terminal: to every process of the group.
    for (const pid of children) process.kill(pid, 'SIGINT');
    expect((await post(gateway.url, 'MILLER')).status).toBe(200);
    gateway.signal('SIGINT');
    await eventually(() => expect([...children, gateway.pid].filter(isAlive)).toEqual([]), PATIENT);
    await eventually(() => expect(gateway.log.at(-1)).toMatchObject({ msg: 'stopped', pid: gateway.pid }));
  });
});

describe('a gateway whose worker hangs or crashes', () => {
  // Longer than the delays of a busy machine.
  share(1, {
    lifecycle: { watchdogTimeout: '2s', statusPollInterval: '60s', shutdownTimeout: '60s' },
  });

  test('exports every metric that the alerts and the dashboard use', async () => {
    const text = await gateway.metrics();
    const shown = new Set(['up']);
    for (const [, name, type] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
      const series = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
      for (const suffix of series) shown.add(`${name}${suffix}`);
    }
    const asked = ['prometheus/alerts.yaml', 'grafana/ici-gateway.json'].flatMap((file) => {
      const queries = readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');
      return [...queries.matchAll(/\b(\w+)\{job=/g)].map(([, name = '']) => name);
    });
    expect(asked.length).toBeGreaterThan(50);
    expect(asked.filter((name) => !shown.has(name))).toEqual([]);
  });

  test('lets clients wait that connect while its only worker is down, and serves them all', async () => {
    expect(failures([await post(gateway.url, 'MILLER')])).toEqual([]);
    const dead = one('worker');
    process.kill(dead.pid, 'SIGKILL');
    await eventually(() => expect(isAlive(dead.pid)).toBe(false));
    const asked = users(100, 'AGENT').map((user) => post(gateway.url, user));
    expect(failures(await Promise.all(asked))).toEqual([]);
    expect(one('worker').pid).not.toBe(dead.pid);
    await eventually(() =>
      expect(
        gateway.log.findLast(({ msg }) => msg === 'a worker ended unexpectedly and restarts'),
      ).toMatchObject({ childPid: dead.pid }),
    );
  });

  test('replaces a worker that hangs', async () => {
    const hung = one('worker');
    process.kill(hung.pid, 'SIGSTOP');
    expect(failures([await post(gateway.url, 'MILLER')])).toEqual([]);
    expect(isAlive(hung.pid)).toBe(false);
    await eventually(() =>
      expect(gateway.log.find(({ msg }) => msg.startsWith('a process hangs'))).toMatchObject({
        childPid: hung.pid,
      }),
    );
  });

  test('tells clients that it is stopping, also from a worker that was started during the stop', async () => {
    gateway.signal('SIGTERM');
    await eventually(async () => expect((await gateway.status()).state).toBe('Stopping'));
    const dead = one('worker');
    process.kill(dead.pid, 'SIGKILL');
    await eventually(() => expect(isAlive(dead.pid)).toBe(false));
    const { status, headers } = await fetch(`${gateway.url}/sap/public/icman/ping`);
    expect([status, headers.get('connection')]).toEqual([503, 'close']);
    expect(one('worker').pid).not.toBe(dead.pid);
  });
});

describe('a gateway of two workers', () => {
  share(2);

  test('replaces all its processes, and survives the loss of its controller, without an effect on clients', async () => {
    const before = await processes(2);
    const sending = keepSending();
    await command('restart', '--rolling');
    await eventually(() => expect(logged('the processes are replaced')).toBe(true), PATIENT);
    const after = await processes(2);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);

    process.kill(one('controller').pid, 'SIGKILL');
    await eventually(async () => expect((await gateway.status()).state).toBe('Running'), PATIENT);
    const outcomes = await sending.stop();
    expect(failures(outcomes)).toEqual([]);
    expect(outcomes.length).toBeGreaterThan(20);
  });

  test('ends with its supervisor, even if that is killed', async () => {
    const children = await processes(2);
    await gateway.kill();
    await eventually(() => expect(children.filter(isAlive)).toEqual([]));
  });
});
