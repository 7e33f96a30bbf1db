/**
 * Runs the dialogues of many agents through three gateways, and counts split and moved agents.
 *
 *   npm run trial dialogues -- --count 100000 --seed 1
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openEmbedded } from '../../src/affinity/embedded/store.ts';
import type { Outcome } from './world.ts';
import { DIALOGUES_AT_ONCE, MUTANTS, nothingYet, RULES, runWorld } from './world.ts';

const USAGE = `Random dialogues of agents with instances, through three gateways that share a store.

  --count N      dialogues (default 100000), ${DIALOGUES_AT_ONCE} at a time
  --seed S       of the first ones; the others follow (default 1)
  --workers N    threads (default: one for each core)
  --mutant NAME  with rules switched off: ${Object.keys(MUTANTS).join(', ')}
  --help
`;

// One store for so many seeds, so that it does not grow without limit.
const WORLDS_PER_STORE = 250;
const BATCH = 10;

interface Part {
  readonly from: number;
  readonly worlds: number;
  readonly mutant: string | undefined;
}

async function work({ from, worlds, mutant }: Part): Promise<void> {
  const rules = (mutant === undefined ? undefined : MUTANTS[mutant]) ?? RULES;
  let outcome = nothingYet();
  for (let done = 0; done < worlds; ) {
    const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-dialogues-'));
    const embedded = openEmbedded({ directory });
    try {
      const store = embedded.store('ici', { idleLifetimeMs: 3_600_000 });
      const end = Math.min(worlds, done + WORLDS_PER_STORE);
      for (; done < end; done += 1) {
        await runWorld(from + done, store, rules, outcome);
        if ((done + 1) % BATCH !== 0 && done + 1 < worlds) continue;
        parentPort?.postMessage(outcome);
        outcome = nothingYet();
      }
    } finally {
      await embedded.close();
      rmSync(directory, { recursive: true });
    }
  }
}

async function runAll(
  worlds: number,
  seed: number,
  workers: number,
  mutant: string | undefined,
): Promise<Outcome> {
  const total = nothingYet();
  const begunAt = performance.now();
  const threads = Array.from({ length: workers }, (_, i) => {
    const from = Math.floor((worlds * i) / workers);
    const part: Part = { from: seed + from, worlds: Math.floor((worlds * (i + 1)) / workers) - from, mutant };
    return new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: part });
      worker.on('message', (outcome: Outcome) => {
        total.requests += outcome.requests;
        total.splits += outcome.splits;
        total.moves += outcome.moves;
        total.refused += outcome.refused;
        total.first ??= outcome.first;
        progress(total, begunAt);
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  });
  await Promise.all(threads);
  return total;
}

function progress({ requests, splits }: Outcome, begunAt: number): void {
  if (!process.stderr.isTTY) return;
  const seconds = ((performance.now() - begunAt) / 1_000).toFixed(0);
  process.stderr.write(`\r${requests} requests, ${splits} splits, ${seconds} s `);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: String(availableParallelism()) },
      mutant: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const [count, seed, workers] = [values.count, values.seed, values.workers].map(Number) as [
    number,
    number,
    number,
  ];
  const isKnown = values.mutant === undefined || values.mutant in MUTANTS;
  if (!(count > 0) || !Number.isInteger(seed) || !(workers > 0) || !isKnown) {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  const worlds = Math.ceil(count / DIALOGUES_AT_ONCE);
  const begunAt = performance.now();
  const { requests, splits, moves, refused, first } = await runAll(worlds, seed, workers, values.mutant);
  if (process.stderr.isTTY) process.stderr.write('\r');
  const seconds = ((performance.now() - begunAt) / 1_000).toFixed(1);
  process.stdout.write(
    `${worlds * DIALOGUES_AT_ONCE} dialogues of seed ${seed}, ${requests} requests in ${seconds} s: ` +
      `${splits} at two living instances, ${moves} agents moved by what another one asked for, ${refused} refused\n`,
  );
  if (first !== undefined) process.stdout.write(`first: ${first}\n`);
  if (splits + moves > 0) process.exitCode = 1;
}

if (isMainThread) await main();
else await work(workerData as Part);
