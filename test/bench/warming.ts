/**
 * For how long does a process stand still while it reads many bindings into its cache, lists them page by page, or is
 * asked for its metrics? And how much memory does a cached binding take?
 *
 *   npm run bench warming -- [bindings, 1000000 without it]
 *
 * Starts a separate Redis. Each agent has a user and a session.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BindingCache } from '../../src/affinity/binding-cache.ts';
import { CacheWarmer } from '../../src/affinity/cache-warmer.ts';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { eventually } from '../support/eventually.ts';
import { setFencingToken } from '../support/fencing-token.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const LIFETIME_MS = 12 * 3_600_000;
const SEEDED_AT_ONCE = 200;
const LISTED = 100;
const count = Number(process.argv[2] ?? 1_000_000);

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const LONG_MS = 5;
const NOTED_MS = 0.5;

/**
 * How long turns of the event loop take while the work runs, in time or in processor time, whichever is less: while other
 * programs have the processor, this one does not stand still by its own doing.
 */
async function standstill(title: string, work: () => Promise<unknown>): Promise<void> {
  const notable: number[] = [];
  let isRunning = true;
  const loop = new Promise<void>((resolve) => {
    let last = performance.now();
    let used = process.cpuUsage();
    const turn = (): void => {
      const now = performance.now();
      const { user, system } = process.cpuUsage(used);
      const ms = Math.min(now - last, (user + system) / 1_000);
      if (ms > NOTED_MS) notable.push(ms);
      last = now;
      used = process.cpuUsage();
      if (isRunning) setImmediate(turn);
      else resolve();
    };
    setImmediate(turn);
  });
  const begunAt = performance.now();
  await work();
  const seconds = (performance.now() - begunAt) / 1_000;
  isRunning = false;
  await loop;
  notable.sort((a, b) => b - a);
  const five = notable.slice(0, 5).map((ms) => ms.toFixed(1));
  process.stdout.write(
    `${title}: ${seconds.toFixed(1)} s; longest turns ${five.join(', ') || `under ${NOTED_MS}`} ms; ` +
      `${notable.filter((ms) => ms > LONG_MS).length} over ${LONG_MS} ms\n`,
  );
}

async function seed(store: RedisStore, token: string): Promise<void> {
  for (let from = 0; from < count; from += SEEDED_AT_ONCE) {
    const agents = Array.from({ length: Math.min(SEEDED_AT_ONCE, count - from) }, (_, i) => from + i);
    await Promise.all(
      agents.map((agent) =>
        store.claim(
          [
            { kind: 'user', value: `AGENT${String(agent).padStart(7, '0')}` },
            { kind: 'session', value: `SID:ANON:host_${agent}:session` },
          ],
          {
            instance: `connector-${agent % 4}`,
            incarnation: '2026-11-22T01:36:00Z',
            cause: { kind: 'claimed', balancer: 'rendezvous' },
            gateway: 'crm-gw-01-1a2b3c',
          },
          token,
        ),
      ),
    );
  }
}

const server = await startRedis();
const redis = openRedis({ ...REDIS_TIMEOUTS, url: server.url, commandTimeoutMs: 5_000 });
try {
  await eventually(() => redis.ping());
  const store = new RedisStore(redis, 'crm', { keyPrefix: 'gw', idleLifetimeMs: LIFETIME_MS });
  await seed(store, await setFencingToken(server.port, 'gw'));
  collect();
  const before = process.memoryUsage().heapUsed;
  const cache = new BindingCache({ maxEntries: count, idleLifetimeMs: LIFETIME_MS });
  const warmer = new CacheWarmer({ store, cache, epoch: () => 1, isOutdated: () => false });
  await standstill(`${count} bindings are read`, async () => {
    warmer.tick();
    await eventually(() => warmer.hasScanned || Promise.reject(new Error('not yet')), {
      within: 3_600_000,
      every: 50,
    });
  });
  await standstill('the same are listed', async () => {
    let cursor: string | undefined;
    do {
      const page = await store.list({ limit: LISTED, ...(cursor === undefined ? {} : { cursor }) });
      cursor = page.cursor;
    } while (cursor !== undefined);
  });
  const metrics = new Metrics();
  await standstill('metrics are read 20 times', async () => {
    for (let i = 0; i < 20; i += 1) {
      await metrics.registry.metrics();
      await new Promise(setImmediate);
    }
  });
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / cache.size;
  process.stdout.write(`a cached binding with a session: ${bytes.toFixed(0)} bytes of heap\n`);
  await warmer.close();
} finally {
  await redis.close();
  await server.stop();
}
