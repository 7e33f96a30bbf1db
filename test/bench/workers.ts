/**
 * How much do several processes cost and serve, next to a single one, in one run on this machine?
 *
 *   npm run bench workers -- [--rounds 12] [--seconds 2]
 *
 * First each is loaded to its limit, which shows the processor time of a request. The throughput of two workers with a
 * core each does not follow from that on few cores: the load generator and the upstream take the cores away in the
 * middle of a request, from two workers six times as often as from one. So in the second part every worker
 * is limited to a share of a core, which leaves the machine room for all others: with twice the processor time, how many
 * times the requests? Two gateways of one worker each, loaded at the same time, are the control: if these,
 * which have nothing in common, do not serve twice as much as one, the machine is the reason.
 *
 * Two processes that run the same code are not equally fast. So there are two of each, a round's ratio is of their
 * means, and the report says how far the two are apart: smaller differences mean nothing.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { childrenOf } from '../support/host-processes.ts';
import { median, table } from './figures.ts';
import type { LoadResult } from './load.ts';
import { findGenerator, load } from './load.ts';
import { cpuSeconds, cpuSecondsOf, Workbench } from './processes.ts';
import { limitProcessors } from './processor-limit.ts';
import { startGateway, startUpstream } from './started.ts';

interface Gateway {
  readonly url: string;
  /** The single process, or the supervisor, whose pid is that of the group too. */
  readonly pid: number;
  /** The processes that serve traffic. */
  readonly carriers: readonly number[];
}

interface Sample {
  readonly rate: number;
  readonly seconds: number;
  readonly errors: number;
  /** Processor seconds for each request: of all processes, and of those that serve traffic. */
  readonly all: number;
  readonly carrying: number;
  /** Involuntary context switches of a serving process, for each request. */
  readonly interrupted: number;
  /** Processor seconds of the supervisors. */
  readonly supervisor: number;
}

const TITLES = {
  single: 'one process',
  otherSingle: 'another process',
  one: 'one worker',
  otherOne: 'another worker',
  both: 'both of these, at the same time',
  two: 'two workers',
  otherTwo: 'another two workers',
} as const;
type Contender = keyof typeof TITLES;
type Samples = Readonly<Partial<Record<Contender, readonly Sample[]>>>;
const LOADED_TO_THE_LIMIT: readonly Contender[] = ['single', 'otherSingle', 'one', 'otherOne', 'both', 'two'];
const HELD: readonly Contender[] = ['one', 'otherOne', 'both', 'two', 'otherTwo'];

const CONCURRENCY = 32;
const AGENTS = 500;
// Code that has run less often is slower. And V8 gives memory back within 15 s of rest, and code within a minute:
// so they warm up in turns, the rounds are short, and each turn begins with a second that does not count.
const WARM_UP_TURNS = 4;
const WARM_UP_SECONDS = 3;
const LEAD_IN_SECONDS = 1;
const SHARE_OF_A_CORE = 0.3;
const LEAST_SCALING = 1.8;
const MOST_SUPERVISOR = 0.01;
const MOST_SHARING = 1.05;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '12' },
    seconds: { type: 'string', default: '2' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  print(
    'One process, one worker and two workers, two of each: loaded to the limit, then held to a share of a core,\n' +
      'which takes root. About nine minutes.\n\n' +
      '  --rounds <n>   of each part, 12\n  --seconds <n>  of each round, 2',
  );
  process.exit(0);
}
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
if (!(rounds >= 1 && seconds >= 1)) throw new Error('--rounds and --seconds are numbers of at least 1');

const generator = findGenerator();
const bench = new Workbench();
try {
  // Tried first, so that a missing right is reported at once and not after minutes.
  limitProcessors([process.pid], 1)();
  const contenders = await startContenders();
  const carriers = [...new Set(carriersOf(Object.values(contenders).flat()))];
  print(
    `node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; load from ${generator}, ` +
      `${CONCURRENCY} at a time, a new connection for each, ${rounds} rounds of ${seconds} s; known agents, by header.`,
  );
  await warmUp(contenders, LOADED_TO_THE_LIMIT);
  const atTheLimit = await measure(contenders, LOADED_TO_THE_LIMIT);
  print(`\nLoaded to the limit:\n\n${tableOf(atTheLimit)}`);

  await warmUp(contenders, HELD);
  const lift = limitProcessors(carriers, SHARE_OF_A_CORE);
  bench.onClose(async () => lift());
  const held = await measure(contenders, HELD);
  print(`\nEach process that carries held to ${SHARE_OF_A_CORE * 100} % of a core:\n\n${tableOf(held)}`);
  process.exitCode = check(atTheLimit, held) ? 0 : 1;
} finally {
  await bench.close();
}

async function startContenders(): Promise<Record<Contender, readonly Gateway[]>> {
  const upstream = await startUpstream(bench);
  let started = 0;
  const start = async (workers: number): Promise<Gateway> => {
    started += 1;
    const flags = ['--workers', String(workers)];
    const { url, program } = await startGateway(bench, upstream.url, `gateway-${started}`, flags);
    const { pid } = program;
    return { url, pid, carriers: workers === 0 ? [pid] : [...childrenOf(pid).workers.values()] };
  };
  const [one, otherOne] = [await start(1), await start(1)];
  return {
    single: [await start(0)],
    otherSingle: [await start(0)],
    one: [one],
    otherOne: [otherOne],
    both: [one, otherOne],
    two: [await start(2)],
    otherTwo: [await start(2)],
  };
}

async function warmUp(
  contenders: Record<Contender, readonly Gateway[]>,
  names: readonly Contender[],
): Promise<void> {
  for (let turn = 0; turn < WARM_UP_TURNS; turn += 1) {
    tell(`warming up, turn ${turn + 1} of ${WARM_UP_TURNS}`);
    for (const name of names) await loadTogether(contenders[name], WARM_UP_SECONDS);
  }
}

/** They take turns in both directions, so that none always follows the same one. */
async function measure(
  contenders: Record<Contender, readonly Gateway[]>,
  names: readonly Contender[],
): Promise<Samples> {
  const samples = new Map(names.map((name): [Contender, Sample[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    tell(`round ${round + 1} of ${rounds}`);
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      await loadTogether(contenders[name], LEAD_IN_SECONDS);
      samples.get(name)?.push(await sample(contenders[name]));
    }
  }
  tell('');
  return Object.fromEntries(samples);
}

async function sample(gateways: readonly Gateway[]): Promise<Sample> {
  const carriers = carriersOf(gateways);
  const supervisors = gateways.filter(({ pid }) => !carriers.includes(pid));
  const read = () => ({
    all: sumOf(gateways.map(({ pid }) => cpuSeconds(pid))),
    carrying: sumOf(carriers.map(cpuSecondsOf)),
    supervisor: sumOf(supervisors.map(({ pid }) => cpuSecondsOf(pid))),
    interrupted: sumOf(carriers.map(interruptionsOf)),
  });
  const before = read();
  const results = await loadTogether(gateways, seconds);
  const after = read();
  const requests = sumOf(results.map((result) => result.requests));
  return {
    rate: sumOf(results.map((result) => result.requests / result.seconds)),
    seconds: Math.max(...results.map((result) => result.seconds)),
    errors: sumOf(results.map(({ errors }) => errors)),
    all: (after.all - before.all) / requests,
    carrying: (after.carrying - before.carrying) / requests,
    interrupted: (after.interrupted - before.interrupted) / requests,
    supervisor: after.supervisor - before.supervisor,
  };
}

/** All of them together are loaded as much as a single one. */
function loadTogether(gateways: readonly Gateway[], forSeconds: number): Promise<LoadResult[]> {
  const plan = { naming: 'header', connections: 'new', run: '', agents: AGENTS } as const;
  const concurrency = CONCURRENCY / gateways.length;
  return Promise.all(
    gateways.map(({ url }) =>
      load({ ...plan, url, seconds: forSeconds, concurrency }, generator, bench.directory),
    ),
  );
}

function tableOf(samples: Samples): string {
  const rows = Object.entries(samples).map(([name, own]) => {
    const of = (pick: (one: Sample) => number): number => median(own.map(pick));
    return [
      TITLES[name as Contender],
      of(({ rate }) => rate).toFixed(0),
      of(({ all }) => all * 1e6).toFixed(0),
      of(({ carrying }) => carrying * 1e6).toFixed(0),
      of(({ interrupted }) => interrupted).toFixed(2),
      String(sumOf(own.map(({ errors }) => errors))),
    ];
  });
  const head = ['', 'requests/s', 'CPU µs/request', 'of the carriers', 'interrupted/request', 'errors'];
  return table([head, ...rows]);
}

/** Prints the targets and the results; true if all are met. */
function check(atTheLimit: Samples, held: Samples): boolean {
  const costs = (name: Contender): number[] => (atTheLimit[name] ?? []).map(({ carrying }) => carrying);
  const rates = (name: Contender): number[] => (held[name] ?? []).map(({ rate }) => rate);
  const rateOfOne = meansOf(rates('one'), rates('otherOne'));
  const scaling = median(ratios(meansOf(rates('two'), rates('otherTwo')), rateOfOne));
  const room = median(ratios(rates('both'), rateOfOne));
  const costOfOne = meansOf(costs('one'), costs('otherOne'));
  const sharing = median(ratios(costOfOne, meansOf(costs('single'), costs('otherSingle'))));
  const apart = (some: readonly number[], others: readonly number[]): string =>
    median(ratios(some, others)).toFixed(2);
  // Ticks of 10 ms are coarse for so little time, so all rounds are added up.
  const supervised = (['one', 'otherOne', 'two'] as const).flatMap((name) => atTheLimit[name] ?? []);
  const supervisor =
    sumOf(supervised.map((sample) => sample.supervisor)) / sumOf(supervised.map((sample) => sample.seconds));

  print(
    `\none of the same, of the other: CPU of processes ${apart(costs('single'), costs('otherSingle'))}, ` +
      `of one worker ${apart(costs('one'), costs('otherOne'))}; requests/s of one worker ` +
      `${apart(rates('one'), rates('otherOne'))}, of two ${apart(rates('two'), rates('otherTwo'))}\n` +
      `two gateways of one worker each carry, of one: ${room.toFixed(2)} (what this machine has room for)`,
  );
  // A refused request costs little, and would make a gateway look fast.
  const errors = sumOf(
    [atTheLimit, held].flatMap((part) =>
      Object.values(part)
        .flat()
        .map((one) => one.errors),
    ),
  );
  return [
    verdict('requests that failed', String(errors), '0', errors === 0),
    verdict('two workers carry, of one', scaling.toFixed(2), `>= ${LEAST_SCALING}`, scaling >= LEAST_SCALING),
    verdict(
      'the supervisor uses, of a core',
      `${(supervisor * 100).toFixed(2)} %`,
      `< ${MOST_SUPERVISOR * 100} %`,
      supervisor < MOST_SUPERVISOR,
    ),
    verdict(
      'CPU of a worker per request, of one process',
      sharing.toFixed(2),
      `<= ${MOST_SHARING}`,
      sharing <= MOST_SHARING,
    ),
  ].every(Boolean);
}

function carriersOf(gateways: readonly Gateway[]): number[] {
  return gateways.flatMap(({ carriers }) => carriers);
}

/** Involuntary context switches of the serving thread (proc(5), /proc/pid/status). */
function interruptionsOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^nonvoluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1]);
}

function meansOf(some: readonly number[], others: readonly number[]): number[] {
  return some.map((value, i) => (value + (others[i] as number)) / 2);
}

function ratios(some: readonly number[], others: readonly number[]): number[] {
  return some.map((value, i) => value / (others[i] as number));
}

function verdict(what: string, is: string, target: string, isMet: boolean): boolean {
  print(`${what}: ${is} (target ${target}): ${isMet ? 'PASS' : 'short of the target'}`);
  return isMet;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}

/** Shows the progress in place of the previous line; only on a terminal. */
function tell(progress: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${progress}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
