/**
 * Pauses Redis for a while, again and again, while new agents come to several gateways at once, and counts
 * the agents that two instances have served.
 *
 *   npm run trial pauses -- --gateways 3 --burners 2
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Histogram } from '../../src/simulator/histogram.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { pauseClients, stopProcess } from './pause.ts';
import { raceThroughPause, startAnswering } from './race.ts';

const BALANCERS = ['round-robin', 'least-bound', 'rendezvous', 'random'] as const;
const LEASE_MS = 3_000;
// Gateways wait for a store that pauses for this share of a lease.
const WAITS_MS = LEASE_MS * 0.6;
const PAUSES_MS = [50, 150, 300, 600, 900, 1_200, 1_500, 1_700, 2_000, 2_500, 3_000];

const USAGE = `Lets Redis stand still while new agents come to several gateways at once, and counts agents that were split.

  --gateways N   how many (default 2)
  --workers N    of each gateway; 0 is a single process (default 1)
  --burners N    processes that take the processor from the others (default 0)
  --agents N     of each balancer in each pause (default 60)
  --rounds N     how often each pause is repeated (default 3)
  --pauses LIST  in ms (default ${PAUSES_MS.join(',')})
  --how HOW      stop: the Redis process is stopped; client-pause: CLIENT PAUSE ALL; both in turn (default both)
  --help

Exit status 1 where an agent was split by a pause of less than ${WAITS_MS} ms, the time that gateways wait.
`;

interface Row {
  agents: number;
  splits: number;
  failed: number;
  readonly durations: Histogram;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      gateways: { type: 'string', default: '2' },
      workers: { type: 'string', default: '1' },
      burners: { type: 'string', default: '0' },
      agents: { type: 'string', default: '60' },
      rounds: { type: 'string', default: '3' },
      pauses: { type: 'string', default: PAUSES_MS.join(',') },
      how: { type: 'string', default: 'both' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return print(USAGE);
  const redis = await startRedis();
  const instances = await Promise.all(['a', 'b', 'c'].map(startAnswering));
  const config = {
    workers: Number(values.workers),
    pools: BALANCERS.map((balancer) => ({
      name: balancer,
      mode: 'sticky',
      balancer,
      match: { paths: [`/${balancer}`] },
      // The instances are healthy, however long they take to answer on a busy machine.
      health: { path: '/health', timeout: '5s', fall: 5 },
      instances: instances.map(({ url }, i) => ({ id: 'abc'.charAt(i), url })),
    })),
    coordination: { lease: `${LEASE_MS}ms` },
    affinity: { redis: { url: redis.url } },
    logging: { names: 'readable' },
  };
  const gateways: GatewayProcess[] = [];
  const burners: ReturnType<typeof spawn>[] = [];
  let below = 0;
  try {
    for (let i = 0; i < Number(values.gateways); i += 1) gateways.push(await startGatewayProcess(config));
    for (let i = 0; i < Number(values.burners); i += 1)
      burners.push(spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
    const head = `${values.gateways} gateways, ${values.workers} workers each, ${values.burners} burners, lease ${LEASE_MS} ms`;
    print(`${head}\npause ms | balancer    | agents | splits | failed | p50 ms | p99 ms | slowest ms\n`);
    for (const pauseMs of values.pauses.split(',').map(Number)) {
      const { rows, longestMs } = await pauseOften(redis, gateways, pauseMs, values);
      for (const [balancer, { agents, splits, failed, durations }] of rows) {
        if (longestMs < WAITS_MS) below += splits;
        const cells = [
          agents,
          splits,
          failed,
          ...[0.5, 0.99, 1].map((q) => Math.round(durations.quantile(q))),
        ];
        const columns = cells.map((cell, i) => String(cell).padStart(i === 5 ? 10 : 6));
        print(
          `${String(Math.round(longestMs)).padStart(8)} | ${balancer.padEnd(11)} | ${columns.join(' | ')}\n`,
        );
      }
    }
  } finally {
    for (const burner of burners) burner.kill('SIGKILL');
    for (const gateway of gateways) await gateway.close();
    for (const { server } of instances) {
      server.closeAllConnections();
      server.close();
    }
    redis.resume();
    await redis.stop();
  }
  print(`splits by pauses below ${WAITS_MS} ms: ${below}\n`);
  if (below > 0) process.exitCode = 1;
}

async function pauseOften(
  redis: RedisServer,
  gateways: readonly GatewayProcess[],
  pauseMs: number,
  { agents, rounds, how }: { agents: string; rounds: string; how: string },
): Promise<{ readonly longestMs: number; readonly rows: ReadonlyMap<string, Row> }> {
  const rows = new Map<string, Row>();
  let longestMs = 0;
  for (let round = 0; round < Number(rounds); round += 1) {
    const stops = how === 'stop' || (how === 'both' && round % 2 === 0);
    const { results, pausedMs } = await raceThroughPause({
      pauseMs,
      pause: () => (stops ? stopProcess : pauseClients)(redis, pauseMs),
      gateways: gateways.map(({ url }) => url),
      pools: BALANCERS,
      agents: Number(agents),
      prefix: `P${pauseMs}-${round}-`,
    });
    longestMs = Math.max(longestMs, pausedMs);
    for (const [balancer, result] of results) {
      for (const user of result.splits) explain(gateways, balancer, user);
      const row = rows.get(balancer) ?? { agents: 0, splits: 0, failed: 0, durations: new Histogram() };
      row.agents += result.agents;
      row.splits += result.splits.length;
      row.failed += result.failed.length;
      for (const duration of result.durations) row.durations.record(duration);
      rows.set(balancer, row);
    }
    await allAreWell(gateways);
  }
  return { longestMs, rows };
}

/** Resolves once the gateways have a lease and an answer of the store since the last pause. */
async function allAreWell(gateways: readonly GatewayProcess[]): Promise<void> {
  await eventually(async () => {
    for (const gateway of gateways) {
      for (const { name, view, affinity, leaseRemainingMs } of (await gateway.status()).pools) {
        const isWell = view.effective && affinity.available && (leaseRemainingMs ?? 0) > LEASE_MS / 2;
        if (!isWell) throw new Error(`${gateway.url} does not act on an agreed view of ${name} yet`);
      }
    }
  });
}

/** The decision of each gateway, and its other log lines meanwhile. */
function explain(gateways: readonly GatewayProcess[], pool: string, user: string): void {
  for (const [i, { log }] of gateways.entries()) {
    const own = log.filter((line) => line['pool'] === pool);
    const last = own.findLastIndex((line) => line['user'] === user);
    const lines = own.slice(Math.max(0, last - 400), last + 1);
    for (const line of lines)
      if (line.msg !== 'request' || line['user'] === user) print(`  gateway ${i}: ${JSON.stringify(line)}\n`);
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `pauses: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 2;
});
