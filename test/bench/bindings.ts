/**
 * How many bytes does a binding cost, and does a claim stay as fast, at a thousand, a hundred thousand and
 * a million bindings?
 *
 *   npm run bench bindings -- [redis] [embedded] [user-only]
 *
 * Starts a separate Redis. Each agent has a user and a session; `user-only` leaves the session out.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded } from '../../src/affinity/embedded/store.ts';
import { RedisStore } from '../../src/affinity/redis/store.ts';
import type { Proposal } from '../../src/core/binding.ts';
import type { Name } from '../../src/core/identity.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { Histogram } from '../../src/simulator/histogram.ts';
import { eventually } from '../support/eventually.ts';
import { setFencingToken } from '../support/fencing-token.ts';
import { redisCommand } from '../support/redis-command.ts';
import { startRedis } from '../support/redis-server.ts';
import { REDIS_TIMEOUTS } from '../support/redis-timeouts.ts';

const SIZES = [1_000, 100_000, 1_000_000];
const PROBES = 2_000;
const IN_FLIGHT = 100;
const LIFETIME_MS = 12 * 3_600_000;

interface Size {
  readonly label: string;
  readonly bytes: number;
}

function namesOf(agent: number, withSession: boolean): Name[] {
  const user: Name = { kind: 'user', value: `AGENT${String(agent).padStart(7, '0')}` };
  return withSession ? [user, { kind: 'session', value: `SID:ANON:host_${agent}:session` }] : [user];
}

function placementOf(agent: number): Proposal {
  return {
    instance: `connector-${agent % 4}`,
    incarnation: '2026-11-22T01:36:00Z',
    cause: { kind: 'claimed', balancer: 'rendezvous' },
    gateway: 'crm-gw-01-1a2b3c',
  };
}

async function measure(
  title: string,
  store: AffinityStore,
  fencingToken: string,
  sizes: () => Promise<Size[]>,
  withSession: boolean,
): Promise<void> {
  const empty = await sizes();
  let agents = 0;
  for (const size of SIZES) {
    const begun = performance.now();
    while (agents < size) {
      const batch: Promise<unknown>[] = [];
      for (let i = 0; i < IN_FLIGHT && agents < size; i += 1, agents += 1) {
        batch.push(store.claim(namesOf(agents, withSession), placementOf(agents), fencingToken));
      }
      await Promise.all(batch);
      // As between requests: the embedded store frees memory between turns of the event loop.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    const seconds = (performance.now() - begun) / 1_000;
    const grown = (await sizes()).map(({ label, bytes }, i) => {
      const more = bytes - (empty[i]?.bytes ?? 0);
      return `${label} ${(bytes / 1e6).toFixed(1)} MB (${(more / size).toFixed(0)} B a binding)`;
    });
    print(`${title}, ${size} bindings, seeded in ${seconds.toFixed(1)} s: ${grown.join(', ')}`);

    const newcomer = randomBytes(4).toString('hex');
    await probe('  claim of a new agent     ', (i) =>
      store.claim(
        [
          { kind: 'user', value: `${newcomer}${i}` },
          { kind: 'session', value: `${newcomer}${i}` },
        ],
        placementOf(i),
        fencingToken,
      ),
    );
    await probe('  claim of a known agent   ', () =>
      store.claim(namesOf(Math.floor(Math.random() * size), withSession), placementOf(0), fencingToken),
    );
    const kind = withSession ? 1 : 0;
    await probe('  claim by the session only', () => {
      const name = namesOf(Math.floor(Math.random() * size), withSession)[kind] as Name;
      return store.claim([name], placementOf(0), fencingToken);
    });
    await probe('  counts                   ', () => store.counts(), 50);
    await probe('  page of 100              ', () => store.list({ limit: 100 }), 50);
    for (let i = 0; i < PROBES; i += 1) {
      const bound = await store.renew([{ kind: 'user', value: `${newcomer}${i}` }]);
      if (bound !== undefined) await store.release(bound, fencingToken);
    }
  }
}

async function probe(title: string, run: (i: number) => Promise<unknown>, times = PROBES): Promise<void> {
  const took = new Histogram();
  for (let i = 0; i < times; i += 1) {
    const begun = performance.now();
    await run(i);
    took.record(performance.now() - begun);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  const at = (share: number): string => (took.quantile(share) * 1_000).toFixed(0).padStart(6);
  print(`${title} p50 ${at(0.5)} µs, p99 ${at(0.99)} µs`);
}

async function benchRedis(withSession: boolean): Promise<void> {
  const server = await startRedis();
  const redis = openRedis({ ...REDIS_TIMEOUTS, url: server.url, commandTimeoutMs: 5_000 });
  await eventually(() => redis.ping());
  const sizes = async (): Promise<Size[]> => {
    const used = /used_memory:(\d+)/.exec(await redisCommand(server.port, 'INFO', 'memory'))?.[1];
    return [{ label: 'used_memory', bytes: Number(used) }];
  };
  await measure(
    'redis',
    new RedisStore(redis, 'crm', { keyPrefix: 'gw', idleLifetimeMs: LIFETIME_MS }),
    await setFencingToken(server.port, 'gw'),
    sizes,
    withSession,
  );
  await redis.close();
  await server.stop();
}

async function benchEmbedded(withSession: boolean): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-bench-'));
  const embedded = openEmbedded({ directory });
  const sizes = async (): Promise<Size[]> => {
    globalThis.gc?.();
    const status = readFileSync('/proc/self/status', 'utf8');
    const mapped = /RssFile:\s+(\d+)/.exec(status)?.[1];
    return [
      { label: 'file', bytes: statSync(join(directory, 'data.mdb')).size },
      { label: 'RSS of the process', bytes: process.memoryUsage().rss },
      { label: 'of that mapped files', bytes: Number(mapped) * 1_024 },
    ];
  };
  await measure(
    'embedded',
    embedded.store('crm', { idleLifetimeMs: LIFETIME_MS }),
    '1.view:local',
    sizes,
    withSession,
  );
  await embedded.close();
  rmSync(directory, { recursive: true });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const asked = process.argv.slice(2);
if (asked.includes('--help')) {
  print('Size and speed of the stores up to a million bindings: [redis|embedded] [user-only]');
  process.exit(0);
}
const withSession = !asked.includes('user-only');
if (!asked.includes('embedded')) await benchRedis(withSession);
if (!asked.includes('redis')) await benchEmbedded(withSession);
