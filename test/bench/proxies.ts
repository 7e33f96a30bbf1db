/**
 * What does a request cost in the gateway, next to other proxies, in one run on this machine?
 *
 *   npm run bench proxies -- [--quick] [--only gateway-header,reply-from] [--connections new|kept]
 *
 * The most useful figure is processor time per request, which depends less than
 * rates and latencies on the other load of the machine. Contenders take turns in
 * several short rounds, each is loaded to its limit, and medians are shown; a
 * ratio is the median of the ratios of the rounds.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Contender, ContenderName } from './contenders.ts';
import { CONTENDERS, startContenders } from './contenders.ts';
import { median, table } from './figures.ts';
import type { Connections, LoadPlan } from './load.ts';
import { findGenerator, load } from './load.ts';
import { cpuSeconds, Workbench } from './processes.ts';

interface Sample {
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

type Samples = ReadonlyMap<string, Sample[]>;

const CONCURRENCY = 16;
const AGENTS = 500;
// More than one run can send, so that each request has another agent.
const ENDLESS = 10_000_000;
const TARGETS: readonly {
  readonly of: ContenderName;
  readonly over: ContenderName;
  readonly most: number;
}[] = [
  { of: 'gateway-header', over: 'reply-from', most: 1.15 },
  { of: 'gateway-body', over: 'gateway-header', most: 1.1 },
];
const TITLES: Readonly<Record<Connections, string>> = {
  new: 'A new TCP connection per request',
  kept: 'Kept-alive connections',
};

const HELP = `The gateway beside other proxies, in one run on loopback.

  --quick              fewer and shorter rounds, about a minute
  --only <a,b,…>       of ${Object.keys(CONTENDERS).join(', ')}
  --connections <how>  new (one TCP connection per request) or kept; both without it
`;

const { values: flags } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    connections: { type: 'string' },
  },
});
if (flags.help) {
  print(HELP);
  process.exit(0);
}
const wanted = wantedContenders(flags.only);
const modes = wantedModes(flags.connections);
const plan = flags.quick ? { rounds: 3, seconds: 1, warmUp: 3 } : { rounds: 5, seconds: 2, warmUp: 5 };
const generator = findGenerator();
const bench = new Workbench();

try {
  const { contenders, missing } = await startContenders(bench, wanted);
  print(
    `node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; load from ` +
      `${generator === 'wrk' ? 'wrk' : 'a node client (wrk is not installed)'}, ${CONCURRENCY} at a time, ` +
      `${plan.rounds} rounds of ${plan.seconds} s; 2 KB SOAP requests of ${AGENTS} agents.\n` +
      'The gateway runs with its defaults; each request is logged, to a file.',
  );
  for (const line of missing) print(`left out: ${line}`);
  for (const connections of modes) {
    report(connections, contenders, await measure(contenders, connections));
  }
} finally {
  await bench.close();
}

async function measure(contenders: readonly Contender[], connections: Connections): Promise<Samples> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await sample(contender, connections, plan.warmUp, 'W');
  for (let round = 0; round < plan.rounds; round += 1) {
    // In both directions, so that none always follows the same one.
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of order) {
      const run = `${connections === 'new' ? 'N' : 'K'}${round}`;
      samples.get(contender.name)?.push(await sample(contender, connections, plan.seconds, run));
    }
  }
  return samples;
}

async function sample(
  { url, naming, group }: Contender,
  connections: Connections,
  seconds: number,
  run: string,
): Promise<Sample> {
  const agents = naming === 'new' ? ENDLESS : AGENTS;
  const one: LoadPlan = { url, naming, connections, seconds, run, agents, concurrency: CONCURRENCY };
  const before = cpuSeconds(group);
  const result = await load(one, generator, bench.directory);
  const cpu = cpuSeconds(group) - before;
  return {
    cpuMicros: (cpu * 1e6) / result.requests,
    perSecond: result.requests / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    errors: result.errors,
  };
}

function report(connections: Connections, contenders: readonly Contender[], samples: Samples): void {
  const rows = contenders.map(({ name }) => {
    const all = samples.get(name) ?? [];
    const of = (pick: (one: Sample) => number): number => median(all.map(pick));
    return [
      CONTENDERS[name as ContenderName],
      of(({ cpuMicros }) => cpuMicros).toFixed(1),
      of(({ perSecond }) => perSecond).toFixed(0),
      of(({ p50Ms }) => p50Ms).toFixed(2),
      of(({ p99Ms }) => p99Ms).toFixed(2),
      String(all.reduce((sum, { errors }) => sum + errors, 0)),
    ];
  });
  print(`\n${TITLES[connections]}\n`);
  print(table([['', 'CPU µs/request', 'requests/s', 'p50 ms', 'p99 ms', 'errors'], ...rows]));
  print('');
  for (const { of, over, most } of TARGETS) {
    const ratio = ratioOf(samples.get(of) ?? [], samples.get(over) ?? []);
    if (Number.isNaN(ratio)) continue;
    const verdict = ratio <= most ? 'PASS' : 'short of the target';
    print(`CPU of ${of} / ${over}: ${ratio.toFixed(2)} (target <= ${most.toFixed(2)}): ${verdict}`);
  }
}

/** NaN if either was not measured. */
function ratioOf(of: readonly Sample[], over: readonly Sample[]): number {
  if (over.length === 0) return Number.NaN;
  return median(of.map(({ cpuMicros }, round) => cpuMicros / (over[round]?.cpuMicros ?? Number.NaN)));
}

function wantedContenders(only: string | undefined): ContenderName[] {
  const all = Object.keys(CONTENDERS) as ContenderName[];
  if (only === undefined) return all;
  const names = only.split(',');
  const unknown = names.filter((name) => !(name in CONTENDERS));
  if (unknown.length > 0)
    throw new Error(`no such contender: ${unknown.join(', ')}; there are ${all.join(', ')}`);
  return all.filter((name) => names.includes(name));
}

function wantedModes(connections: string | undefined): Connections[] {
  if (connections === undefined) return ['new', 'kept'];
  if (connections === 'new' || connections === 'kept') return [connections];
  throw new Error('--connections is new or kept');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
