/**
 * What does the snapshot of many bindings cost: to write whole, each second while agents work, on the disk, and to
 * restore?
 *
 *   npm run bench snapshot -- [bindings, 100000 without it]
 *
 * Starts a separate Redis. Each agent has a user and a session. Another process renews 1,000 bindings each second, and
 * then binds 10 new agents each second.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import { recallBindings } from '../../src/affinity/snapshot/recall.ts';
import { SnapshotRecorder } from '../../src/affinity/snapshot/recorder.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { eventually } from '../support/eventually.ts';
import { setFencingToken } from '../support/fencing-token.ts';
import { redisCommand } from '../support/redis-command.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const LIFETIME_MS = 12 * 3_600_000;
const AT_ONCE = 200;
const MEASURED_MS = 20_000;
const RENEWED_PER_SECOND = 1_000;
const BOUND_PER_SECOND = 10;
const KEY_PREFIX = 'bench-snapshot';

const names = (i: number) => [
  { kind: 'user', value: `AGENT${i}` } as const,
  { kind: 'session', value: `session-${i}` } as const,
];
const place = (i: number) => ({ instance: `connector-${i % 4}`, incarnation: '85ecc84dfc5050f1' });

async function connect(url: string): Promise<{ store: RedisStore; close: () => Promise<void> }> {
  const redis = openRedis({ ...REDIS_TIMEOUTS, url, commandTimeoutMs: 10_000 });
  await eventually(() => redis.ping());
  const store = new RedisStore(redis, 'crm', { keyPrefix: KEY_PREFIX, idleLifetimeMs: LIFETIME_MS });
  return { store, close: () => redis.close() };
}

/** The other process: binds all agents, then renews some or binds more, as it is told. */
async function agents(url: string, count: number, fencingToken: string): Promise<void> {
  const { store } = await connect(url);
  for (let from = 0; from < count; from += AT_ONCE)
    await Promise.all(
      Array.from({ length: AT_ONCE }, (_, i) => store.claim(names(from + i), place(from + i), fencingToken)),
    );
  process.send?.('bound');
  let next = count;
  let timer: NodeJS.Timeout | undefined;
  process.on('message', (what) => {
    clearInterval(timer);
    const perTick = (what === 'renew' ? RENEWED_PER_SECOND : BOUND_PER_SECOND) / 10;
    timer = setInterval(() => {
      for (let i = 0; i < perTick; i += 1) {
        if (what === 'renew') void store.renew(names(Math.floor(Math.random() * count)));
        else {
          void store.claim(names(next), place(next), fencingToken);
          next += 1;
        }
      }
    }, 100);
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

async function main(): Promise<void> {
  const count = Number(process.argv[2] ?? 100_000);
  const server = await startRedis();
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-bench-'));
  const path = join(directory, 'crm.bindings');
  const ledger = `${KEY_PREFIX}:{crm}:ledger`;
  await redisCommand(server.port, 'HSET', ledger, 'open', '1', 'lease', '3000');
  const fencingToken = await setFencingToken(server.port, KEY_PREFIX);
  const other = fork(import.meta.filename, ['agents', server.url, String(count), fencingToken]);
  await once(other, 'message');
  const { store, close } = await connect(server.url);
  let bytes = 0;
  const recorder = new SnapshotRecorder({
    store,
    path,
    pool: 'crm',
    keyPrefix: KEY_PREFIX,
    idleLifetimeMs: LIFETIME_MS,
    openGeneration: () => 'L1',
    renew: async () => undefined,
    onWritten: (written) => {
      bytes = written;
    },
    onFailed: (error) => {
      throw error;
    },
  });
  const ticking = setInterval(() => recorder.tick(), 1_000);
  const before = process.memoryUsage().rss;
  await timed(`write ${count} bindings whole`, () => eventually(() => bytes > 0 || Promise.reject()));
  // The subscription has begun meanwhile, so all were read a second time.
  await wait(10_000);
  const { rss } = process.memoryUsage();
  say(`  ${mb(bytes)} on the disk, ${(bytes / count).toFixed(0)} bytes for each agent`);
  say(`  RSS ${mb(before)} before, ${mb(rss)} after`);
  other.send('renew');
  await timed(`20 s with ${RENEWED_PER_SECOND} renewals a second`, () => wait(MEASURED_MS));
  say(`  the file grew by ${mb(statSync(path).size - bytes)}`);
  other.send('bind');
  await timed(`20 s with ${BOUND_PER_SECOND} new agents a second`, () => wait(MEASURED_MS));
  say(`  the file grew by ${mb(statSync(path).size - bytes)}`);
  other.kill();
  clearInterval(ticking);
  await recorder.close();
  await redisCommand(server.port, 'FLUSHALL');
  await redisCommand(server.port, 'HSET', ledger, 'open', '', 'since', '1');
  const options = {
    path,
    pool: 'crm',
    keyPrefix: KEY_PREFIX,
    store,
    gateway: 'bench',
    idleLifetimeMs: LIFETIME_MS,
  };
  for (const title of ['restore them to an empty Redis', 'offer them again, as a second gateway does'])
    await timed(title, async () => {
      const recalled = await recallBindings({ ...options, limitMs: 600_000 });
      say(`  ${recalled?.restored} restored; RSS ${mb(process.memoryUsage().rss)}`);
    });
  await close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function timed(title: string, work: () => Promise<unknown>): Promise<void> {
  const used = process.cpuUsage();
  const begunAt = performance.now();
  await work();
  const { user, system } = process.cpuUsage(used);
  const seconds = (performance.now() - begunAt) / 1_000;
  const cpuMs = (user + system) / 1_000;
  say(`${title}: ${seconds.toFixed(1)} s, ${cpuMs.toFixed(0)} ms of the processor`);
}

const [, , role, url = '', count, fencingToken = ''] = process.argv;
if (role === 'agents') await agents(url, Number(count), fencingToken);
else await main();
