/**
 * Do the tests notice faults? Puts one fault after the other into a copy of the tree, and runs the tests that must fail.
 *
 *   npm run mutants -- [--only TEXT]... [--check]
 */
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { sendSignal } from '../support/processes.ts';
import type { Mutant } from './mutant.ts';
import { MUTANTS } from './mutants.ts';

const USAGE = `Usage: npm run mutants -- [options]

Changes one place of a copy of the tree after the other, and runs the tests that have to fail with it. Takes about ten
seconds for each change. Ends with 1 if a change was not noticed, or if the place that it changes is not there any more.

  --only <text>  only those whose name contains it; may be given several times
  --check        run nothing; only look whether each place is still there
  --help
`;

/** The time after which a test that hangs counts as failed; its own limits are shorter. */
const LIMIT_MS = 300_000;

const MOST_OUTPUT = 4_000;

const root = resolve(import.meta.dirname, '../../..');
let running: ChildProcess | undefined;

/** Why the mutant cannot be applied to the file's text; `undefined` where it can. */
function problemOf({ file, search }: Mutant): string | undefined {
  const count = readFileSync(join(root, file), 'utf8').split(search).length - 1;
  return count === 1
    ? undefined
    : `${file} contains the text to replace ${count} times instead of once: ${search}`;
}

/** Copies tracked files and new ones that are not ignored, and links the installed packages. */
function copyTree(to: string): void {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  });
  for (const file of new Set(listed.toString().split('\0').filter(Boolean))) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file), { force: true, errorOnExist: false });
  }
  // Not the folder itself: the test runner writes into it.
  mkdirSync(join(to, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== '.vite') symlinkSync(join(root, 'node_modules', name), join(to, 'node_modules', name));
  }
  // Redis, where it was fetched for the tests: see test/support/ensure-redis.ts.
  const programs = join(root, 'build/programs');
  if (!existsSync(programs)) return;
  mkdirSync(join(to, 'build'));
  symlinkSync(programs, join(to, 'build/programs'));
}

interface Outcome {
  readonly passed: number;
  /** Titles of the tests that failed. */
  readonly failed: readonly string[];
  /** The end of what the test runner printed. */
  readonly output: string;
}

/** Runs test files in the copy. Files that cannot be loaded have no test that fails. */
async function runTests(tree: string, tests: readonly string[]): Promise<Outcome> {
  const result = join(tree, 'result.json');
  rmSync(result, { force: true });
  const child = spawn(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json', `--outputFile=${result}`, ...tests],
    { cwd: tree, stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, TMPDIR: tree } },
  );
  running = child;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  const timer = setTimeout(() => endRunning(), LIMIT_MS);
  await new Promise<void>((done, fail) => child.once('close', () => done()).once('error', fail));
  clearTimeout(timer);
  // Its own children are in its group.
  endRunning();
  running = undefined;
  if (child.signalCode !== null)
    return { passed: 0, failed: [`no end within ${LIMIT_MS / 1_000} s`], output: '' };
  try {
    const { testResults } = JSON.parse(readFileSync(result, 'utf8')) as {
      testResults: { assertionResults: { status: string; fullName: string }[] }[];
    };
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    return {
      passed: results.filter(({ status }) => status === 'passed').length,
      failed: results.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
      output: output.slice(-MOST_OUTPUT),
    };
  } catch {
    throw new Error(`the tests ended without a result:\n${output.slice(-MOST_OUTPUT)}`);
  }
}

function endRunning(): void {
  if (running?.pid === undefined) return;
  sendSignal(-running.pid, 'SIGKILL');
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const mutants = MUTANTS.filter(({ name }) => values.only?.some((text) => name.includes(text)) ?? true);
  if (mutants.length === 0) throw new Error('--only: no name contains that');
  const problems = mutants.flatMap((mutant) => {
    const problem = problemOf(mutant);
    return problem === undefined ? [] : [`${mutant.name}: ${problem}`];
  });
  for (const problem of problems) say(problem);
  if (problems.length > 0) say('Change test/mutants/mutants.ts together with the code that it names.');
  if (problems.length > 0 || values.check) return problems.length > 0 ? 1 : 0;

  const tree = mkdtempSync(join(tmpdir(), 'ici-mutants-'));
  const tidy = (): void => {
    endRunning();
    rmSync(tree, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  process.once('exit', tidy);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => process.exit(code));
  }
  copyTree(tree);
  const files = [...new Set(mutants.flatMap(({ tests }) => tests))];
  say(`without a change: ${files.length} test files`);
  const sound = await runTests(tree, files);
  if (sound.failed.length > 0 || sound.passed === 0) {
    say(`  FAILED: ${sound.failed.join('; ') || `no test ran:\n${sound.output}`}`);
    return 1;
  }
  let survivors = 0;
  for (const [i, mutant] of mutants.entries()) {
    const path = join(tree, mutant.file);
    const text = readFileSync(path, 'utf8');
    // A function, since a text could contain patterns such as $&.
    writeFileSync(
      path,
      text.replace(mutant.search, () => mutant.replace),
    );
    const begunAt = performance.now();
    const { failed, passed } = await runTests(tree, mutant.tests);
    writeFileSync(path, text);
    const seconds = ((performance.now() - begunAt) / 1_000).toFixed(0);
    const isFound = failed.length > 0;
    if (!isFound) survivors += 1;
    const how = isFound ? `found by ${failed.length}, e.g. "${failed[0]}"` : `SURVIVED ${passed} tests`;
    say(`[${i + 1}/${mutants.length}] ${mutant.name}: ${how} (${seconds} s)`);
  }
  process.stdout.write(`mutants: ${mutants.length - survivors} found, ${survivors} survived\n`);
  return survivors === 0 ? 0 : 1;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  say((error as Error).message);
  process.exitCode = 2;
}
