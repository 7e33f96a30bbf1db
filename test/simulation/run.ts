/**
 * Runs many stories, and prints the first that breaks a promise, shrunk.
 *
 *   npm run trial simulation -- --schedules 100000 --seed 1
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { describe } from './first-failure.ts';
import { generate } from './generate.ts';
import { MUTANTS } from './mutants.ts';
import { SAFE_MUTANTS } from './relay-mutants.ts';
import { RULES } from './rules.ts';
import { shrink } from './shrink.ts';
import { runStory } from './world.ts';

const PLANTED = { ...MUTANTS, ...SAFE_MUTANTS };

const USAGE = `Runs the pure core of several gateways through seeded schedules of faults, and checks what it promises.

  --schedules N   how many (default 100000)
  --seed S        of the first one; the others follow (default 1)
  --workers N     threads (default: one for each core)
  --mutant NAME   with a planted bug: ${Object.keys(PLANTED).join(', ')}
  --help
`;

/** Stories that a worker gets at a time. */
const BATCH = 250;

interface Batch {
  readonly from: number;
  readonly count: number;
  readonly mutant: string | undefined;
}

/** The seed of the first story that broke a promise. */
interface Report {
  readonly failed: number | undefined;
}

function rulesOf(mutant: string | undefined) {
  return (mutant === undefined ? undefined : PLANTED[mutant]) ?? RULES;
}

function work({ from, count, mutant }: Batch): Report {
  for (let seed = from; seed < from + count; seed += 1) {
    if (runStory(generate(seed), rulesOf(mutant)) !== undefined) return { failed: seed };
  }
  return { failed: undefined };
}

interface Options {
  readonly schedules: number;
  readonly seed: number;
  readonly workers: number;
  readonly mutant: string | undefined;
}

/** Returns the least seed that failed, or `undefined`. */
async function runAll({ schedules, seed, workers, mutant }: Options): Promise<number | undefined> {
  const end = seed + schedules;
  let next = seed;
  let done = 0;
  let failed: number | undefined;
  const begunAt = performance.now();
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url));
      let last = 0;
      const feed = (): void => {
        if (next >= end || failed !== undefined) {
          void worker.terminate().then(() => resolve());
          return;
        }
        last = Math.min(BATCH, end - next);
        const batch: Batch = { from: next, count: last, mutant };
        next += last;
        worker.postMessage(batch);
      };
      worker.on('error', reject);
      worker.on('message', (report: Report) => {
        done += last;
        if (report.failed !== undefined) failed = Math.min(failed ?? report.failed, report.failed);
        showProgress(done, schedules, begunAt);
        feed();
      });
      feed();
    });
  await Promise.all(Array.from({ length: workers }, one));
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (failed === undefined) {
    const seconds = ((performance.now() - begunAt) / 1_000).toFixed(1);
    print(`${schedules} schedules from seed ${seed}, ${workers} workers, ${seconds} s: 0 violations`);
  }
  return failed;
}

function showProgress(done: number, schedules: number, begunAt: number): void {
  if (!process.stderr.isTTY) return;
  const rate = Math.round(done / ((performance.now() - begunAt) / 1_000));
  process.stderr.write(`\r${done} of ${schedules} schedules, ${rate} a second `);
}

function report(seed: number, mutant: string | undefined): void {
  const rules = rulesOf(mutant);
  const story = generate(seed);
  const violation = runStory(story, rules);
  if (violation === undefined) throw new Error(`seed ${seed} does not fail a second time`);
  print(describe(shrink(story, violation, rules)));
  const planted = mutant === undefined ? '' : ` --mutant '${mutant}'`;
  print(`\nagain: npm run trial simulation -- --seed ${seed} --schedules 1${planted}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function wholeNumber(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
  return value;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      schedules: { type: 'string', default: '100000' },
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
  const { mutant } = values;
  if (mutant !== undefined && PLANTED[mutant] === undefined) throw new Error(`there is no mutant ${mutant}`);
  const failed = await runAll({
    schedules: wholeNumber(values.schedules, 'schedules'),
    seed: wholeNumber(values.seed, 'seed'),
    workers: wholeNumber(values.workers, 'workers'),
    mutant,
  });
  if (failed === undefined) return;
  report(failed, mutant);
  process.exitCode = 1;
}

if (isMainThread) {
  main().catch((error: unknown) => {
    process.stderr.write(`simulate: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  });
} else {
  parentPort?.on('message', (batch: Batch) => parentPort?.postMessage(work(batch)));
}
