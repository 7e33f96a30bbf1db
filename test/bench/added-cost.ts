/**
 * What does a part of the gateway add to the cost of a request of a known agent?
 *
 *   npm run bench added-cost -- --of rules|recording|log [--starts 3] [--seconds 40]
 *
 * A gateway switches the part off and on again all the time (see switched-gateway.ts), and a ratio is of two neighbouring
 * slots. The gateway is started again several times.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { eventually } from '../support/eventually.ts';
import { judge, median, ratioOf, table } from './figures.ts';
import type { LoadPlan, Naming } from './load.ts';
import { findGenerator, load, numbered, PATH, requestParts } from './load.ts';
import type { Program } from './processes.ts';
import { Workbench } from './processes.ts';
import { startUpstream } from './started.ts';
import type { Slot } from './switched-gateway.ts';

const PARTS = {
  rules: { what: 'rules for log-on and log-off', most: { header: 1.02, body: 1.05 } },
  recording: {
    what: 'the ring of the last requests, and the counts of the history',
    most: { header: 1.02, body: 1.02 },
  },
  log: { what: 'a log line for each request', most: { header: 1.04, body: 1.04 } },
} as const;
const NAMINGS = ['header', 'body'] as const satisfies readonly Naming[];
const GATEWAY = fileURLToPath(new URL('./switched-gateway.js', import.meta.url));
const AGENTS = 500;
const PLAN = { connections: 'new', run: '', agents: AGENTS, concurrency: 16 } as const;
const WARM_UP_SECONDS = 6;
const READY_MS = 30_000;
// The load is neither a log-on nor a log-off, as nearly all requests are.
const LOG_ON = 'logon';

const { values } = parseArgs({
  options: {
    of: { type: 'string', default: 'rules' },
    starts: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '40' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  print(
    'What a part of the gateway adds to the cost of a request of a known agent. About five minutes.\n\n' +
      `  --of <part>    ${Object.entries(PARTS)
        .map(([name, { what }]) => `${name}: ${what}`)
        .join('\n                 ')}\n` +
      '  --starts <n>   of the gateway, 3\n  --seconds <n>  of load after each start, by header and by body, 40',
  );
  process.exit(0);
}
const part = values.of as keyof typeof PARTS;
if (!(part in PARTS)) throw new Error(`--of is one of: ${Object.keys(PARTS).join(', ')}`);
const [starts, seconds] = [Number(values.starts), Number(values.seconds)];
if (!(starts >= 1 && seconds >= 5))
  throw new Error('--starts is a number of at least 1, --seconds of at least 5');

const generator = findGenerator();
const bench = new Workbench();
const micros: Record<(typeof NAMINGS)[number], { off: number[]; on: number[] }> = {
  header: { off: [], on: [] },
  body: { off: [], on: [] },
};
try {
  const upstream = await startUpstream(bench);
  print(
    `node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; load from ${generator}; ` +
      `${starts} starts, ${seconds} s each, new connections. ${PARTS[part].what}:`,
  );
  for (let start = 0; start < starts; start += 1) {
    const program = bench.start([process.execPath, '--single-threaded-gc', GATEWAY, part, upstream.url]);
    const [url, control] = await printedUrls(program);
    await logOn(url);
    for (const naming of NAMINGS) await loadFor(url, naming, WARM_UP_SECONDS);
    for (const naming of NAMINGS) {
      process.stderr.write(`start ${start + 1} of ${starts}, by ${naming}\n`);
      await fetch(`${control}/take`);
      await loadFor(url, naming, seconds);
      const slots = (await (await fetch(`${control}/take`)).json()) as Slot[];
      addPairs(micros[naming], slots);
    }
    await program.stop();
  }
  report();
} finally {
  await bench.close();
}

/** Pairs of a slot and the next one, both with load from begin to end. */
function addPairs({ off, on }: { off: number[]; on: number[] }, slots: readonly Slot[]): void {
  const usual = median(slots.map(({ requests }) => requests));
  const isFull = (slot: Slot | undefined): slot is Slot => slot !== undefined && slot.requests > usual / 2;
  for (let i = 0; i + 1 < slots.length; i += 1) {
    const [a, b] = [slots[i], slots[i + 1]];
    if (!isFull(a) || !isFull(b) || a.isOn === b.isOn) continue;
    i += 1;
    const [without, withIt] = a.isOn ? [b, a] : [a, b];
    off.push(without.micros / without.requests);
    on.push(withIt.micros / withIt.requests);
  }
}

function printedUrls(program: Program): Promise<[string, string]> {
  return eventually(
    () => {
      const [first, second] = program.output().match(/^http:\S+$/gm) ?? [];
      if (first === undefined || second === undefined)
        throw new Error(`they did not start: ${program.output().slice(-2_000)}`);
      return [first, second];
    },
    { within: READY_MS, every: 50 },
  );
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

async function loadFor(url: string, naming: Naming, forSeconds: number): Promise<void> {
  const plan: LoadPlan = { ...PLAN, naming, url, seconds: forSeconds };
  const { requests, errors } = await load(plan, generator, bench.directory);
  if (errors > 0) throw new Error(`${errors} of ${requests} requests failed`);
}

function report(): void {
  const rows = NAMINGS.map((naming) => {
    const { off, on } = micros[naming];
    const ratio = ratioOf(on, off);
    const most = PARTS[part].most[naming];
    const verdict = judge(ratio, most);
    if (verdict === 'fail') process.exitCode = 1;
    return [
      naming,
      String(ratio.pairs),
      median(off).toFixed(1),
      median(on).toFixed(1),
      ratio.median.toFixed(3),
      `${ratio.low.toFixed(3)} to ${ratio.high.toFixed(3)}`,
      most.toFixed(2),
      verdict,
    ];
  });
  const head = ['named by', 'pairs', 'µs without', 'µs with it', 'ratio', '95 % interval', 'target', ''];
  print(`\n${table([head, ...rows])}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
