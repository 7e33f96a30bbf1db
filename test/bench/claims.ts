/**
 * Are agents ever split whose first two requests come at the same moment through two of three gateways?
 *
 *   npm run bench claims -- [--pairs N]
 *
 * Starts a separate Redis, and three replicas with separate connections, leases and fencing tokens. Exit code 1 if
 * an agent was split.
 */
import { parseArgs } from 'node:util';
import { raceClaims } from '../support/claim-race.ts';
import { startRedis } from '../support/redis-server.ts';
import { table } from './figures.ts';

const { values } = parseArgs({
  options: { pairs: { type: 'string', default: '1000000' }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write('Pairs of first claims at the same moment.\n\n  --pairs <n>  1,000,000 without it\n');
  process.exit(0);
}
const pairs = Number(values.pairs);
if (!(Number.isInteger(pairs) && pairs > 0)) throw new Error('--pairs is a number of at least 1');

const redis = await startRedis();
try {
  const result = await raceClaims({
    redis: { url: redis.url },
    pairs,
    onProgress: (done) => void (process.stderr.isTTY && process.stderr.write(`\r${done} pairs`)),
  });
  if (process.stderr.isTTY) process.stderr.write('\r');
  const rows = [
    ['pairs of first claims', String(result.pairs)],
    ['with different proposals', String(result.contested)],
    ['splits', String(result.splits)],
    ['views during the race', String(result.views)],
    ['claims refused by the fencing token and repeated', String(result.refused)],
    ['claims per second', ((2 * result.pairs) / result.seconds).toFixed(0)],
    ['claim p50', `${result.p50Ms} ms`],
    ['claim p99', `${result.p99Ms} ms`],
  ];
  process.stdout.write(`${table(rows)}\n`);
  if (result.splits > 0) process.exitCode = 1;
} finally {
  await redis.stop();
}
