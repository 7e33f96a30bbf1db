/**
 * What do rules for log-on and log-off cost a request of a known agent?
 *
 *   npm run bench naming-rules -- [--starts 5] [--pairs 6] [--seconds 2] [--against <folder>]
 *
 * Two gateways, with and without the rules, are loaded in turns, and a ratio is of two neighbours. Two processes that run
 * the same code are not equally fast, so both are started again several times. With `--against`, both have the rules, and
 * one runs the build in another folder: that is what a change of the code costs.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median, medianInterval, table } from './figures.ts';
import type { LoadPlan, Naming } from './load.ts';
import { findGenerator, load, numbered, PATH, requestParts } from './load.ts';
import { cpuSeconds, Workbench } from './processes.ts';
import type { Started } from './started.ts';
import { startGateway, startUpstream } from './started.ts';

const MOST = { header: 1.02, body: 1.05 } as const;
const NAMINGS = ['header', 'body'] as const satisfies readonly Naming[];
const CONCURRENCY = 16;
const AGENTS = 500;
const PLAN = { connections: 'new', run: '', agents: AGENTS, concurrency: CONCURRENCY } as const;
const WARM_UP_SECONDS = 4;
const LEAD_IN_SECONDS = 1;
// The load is neither a log-on nor a log-off, as nearly all requests are.
const LOG_ON = 'logon';
const RULES = `identity:
  logon: [{operation: ${LOG_ON}}]
  logoff: [{operation: setCurrentWorkmode, element: workmode, value: '1'}]
`;

const { values } = parseArgs({
  options: {
    starts: { type: 'string', default: '5' },
    pairs: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '2' },
    against: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  print(
    'A known request with and without rules for log-on and log-off. About six minutes.\n\n' +
      '  --starts <n>   of both gateways, 5\n  --pairs <n>    after each start, 6\n  --seconds <n>  of each turn, 2\n  --against <folder>  the root of another build, which is compared instead',
  );
  process.exit(0);
}
const seconds = Number(values.seconds);
const starts = Number(values.starts);
const pairs = Number(values.pairs);
if (!(starts >= 1 && pairs >= 1 && seconds >= 1))
  throw new Error('--starts, --pairs and --seconds are numbers of at least 1');

const generator = findGenerator();
const bench = new Workbench();
const micros: Record<(typeof NAMINGS)[number], { plain: number[]; rules: number[] }> = {
  header: { plain: [], rules: [] },
  body: { plain: [], rules: [] },
};
try {
  const upstream = await startUpstream(bench);
  const file = join(bench.directory, 'rules.yaml');
  writeFileSync(file, RULES);
  print(
    `node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; load from ${generator}; ` +
      `${starts} starts, ${pairs} pairs of ${seconds} s each, new connections.`,
  );
  for (let start = 0; start < starts; start += 1) {
    const withRules = ['--config', file];
    const { against } = values;
    const plain =
      against === undefined
        ? await startGateway(bench, upstream.url, `plain-${start}`)
        : await startGateway(
            bench,
            upstream.url,
            `other-${start}`,
            withRules,
            {},
            resolve(against, 'dist/main.js'),
          );
    const rules = await startGateway(bench, upstream.url, `rules-${start}`, withRules);
    for (const gateway of [plain, rules]) {
      await logOn(gateway.url);
      for (const naming of NAMINGS) await microsOf(gateway, naming, WARM_UP_SECONDS);
    }
    for (let pair = 0; pair < pairs; pair += 1) {
      process.stderr.write(`start ${start + 1} of ${starts}, pair ${pair + 1} of ${pairs}\n`);
      for (const naming of NAMINGS) {
        // In both directions, so that none always follows the other.
        const order = pair % 2 === 0 ? (['plain', 'rules'] as const) : (['rules', 'plain'] as const);
        for (const name of order) {
          const gateway = name === 'plain' ? plain : rules;
          await microsOf(gateway, naming, LEAD_IN_SECONDS);
          micros[naming][name].push(await microsOf(gateway, naming, seconds));
        }
      }
    }
    await plain.program.stop();
    await rules.program.stop();
  }
  report();
} finally {
  await bench.close();
}

/** With the rules, a request by body knows its agent by the session that a log-on has linked. */
async function logOn(url: string): Promise<void> {
  const { headers, body } = requestParts({ ...PLAN, naming: 'body', url, seconds: 0 });
  for (let agent = 1; agent <= AGENTS; agent += 1) {
    const answer = await fetch(`${url}${PATH}`, {
      method: 'POST',
      headers: { ...headers, SOAPAction: `"${LOG_ON}"` },
      body: numbered(body.replaceAll('setWorkmode', LOG_ON), agent),
    });
    if (answer.status !== 200) throw new Error(`a log-on got ${answer.status}`);
  }
}

/** Processor time of a request, in microseconds. */
async function microsOf({ url, program }: Started, naming: Naming, forSeconds: number): Promise<number> {
  const before = cpuSeconds(program.pid);
  const plan: LoadPlan = { ...PLAN, naming, url, seconds: forSeconds };
  const { requests, errors } = await load(plan, generator, bench.directory);
  if (errors > 0) throw new Error(`${errors} of ${requests} requests failed`);
  return ((cpuSeconds(program.pid) - before) * 1e6) / requests;
}

function report(): void {
  const rows = NAMINGS.map((naming) => {
    const { plain, rules } = micros[naming];
    const ratios = rules.map((value, i) => value / (plain[i] as number));
    const [low, high] = medianInterval(ratios);
    const most = MOST[naming];
    const verdict = high <= most ? 'PASS' : low > most ? 'short of the target' : 'undecided';
    if (low > most) process.exitCode = 1;
    return [
      naming,
      median(plain).toFixed(1),
      median(rules).toFixed(1),
      median(ratios).toFixed(3),
      `${low.toFixed(3)} to ${high.toFixed(3)}`,
      most.toFixed(2),
      verdict,
    ];
  });
  const heads =
    values.against === undefined ? ['µs without', 'µs with rules'] : ['µs other build', 'µs this build'];
  const head = ['named by', ...heads, 'ratio', '95 % interval', 'target', ''];
  print(`\n${table([head, ...rows])}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
