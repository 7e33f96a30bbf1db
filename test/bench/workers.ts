/**
 * What do several processes cost and carry, next to a single one, in one run on this machine?
 *
 *   npm run bench:workers -- [--rounds 12] [--seconds 2]
 *
 * First each is loaded to its limit, which shows the processor time of a request. What two workers carry with a core
 * for each does not follow from that where cores are few: the load generator and the upstream interrupt them, and
 * the more processes share the cores the more each request costs, whether or not they are one gateway. So then
 * every process that carries traffic is held to a share of a core, which leaves the machine room for all others:
 * with twice the processor, how many times the requests? Two gateways of one worker each, loaded at the same time,
 * are the check on that: where these, which have nothing in common, do not carry twice of one, it is the machine.
 *
 * Two processes that run the same code are not equally fast. So there are two of each, a round's ratio is of their
 * means, and the report says how far the two are apart: what differs by less than that, nobody can see.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { childrenOf } from '../support/host-processes.ts';
import { startGateway, startUpstream } from './contenders.ts';
import { median, table } from './figures.ts';
import { findGenerator, load } from './load.ts';
import { cpuSeconds, cpuSecondsOf, Workbench } from './processes.ts';
import { limitProcessors } from './processor-limit.ts';

interface Gateway {
  readonly url: string;
  /** The single process, or the supervisor, whose number is that of the group too. */
  readonly pid: number;
  /** Those that carry traffic. */
  readonly carriers: readonly number[];
}

interface Sample {
  readonly rate: number;
  readonly seconds: number;
  readonly errors: number;
  /** Processor seconds for each request: of all processes, and of those that carry traffic. */
  readonly all: number;
  readonly carrying: number;
  /** How often one that carries was taken off its core before it was done, for each request. */
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
const CONTENDERS = Object.keys(TITLES) as Contender[];

const CONCURRENCY = 32;
const AGENTS = 500;
// Code that has run less often is slower, and what has rested for a minute is slower again: so they warm up by turns.
const WARM_UP_TURNS = 6;
const WARM_UP_SECONDS = 3;
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
  const contenders = await startContenders();
  const carriers = [...new Set(CONTENDERS.flatMap((name) => carriersOf(contenders[name])))];
  // Tried here, so that nobody waits for minutes to hear that it cannot be done.
  limitProcessors(carriers, 1)();
  print(
    `node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; load from ${generator}, ` +
      `${CONCURRENCY} at a time, a new connection for each, ${rounds} rounds of ${seconds} s; known agents, by header.`,
  );
  for (let turn = 0; turn < WARM_UP_TURNS; turn += 1)
    for (const name of CONTENDERS)
      await sample(contenders[name], WARM_UP_SECONDS * carriersOf(contenders[name]).length, 'W');

  const atTheLimit = await measure(contenders);
  print(`\nLoaded to the limit:\n\n${tableOf(atTheLimit)}`);
  const lift = limitProcessors(carriers, SHARE_OF_A_CORE);
  bench.onClose(async () => lift());
  const held = await measure(contenders);
  print(`\nEach process that carries held to ${SHARE_OF_A_CORE * 100} % of a core:\n\n${tableOf(held)}`);
  process.exitCode = judge(atTheLimit, held) ? 0 : 1;
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

/** They take turns, there and back again, so that none always comes after the same one. */
async function measure(
  contenders: Record<Contender, readonly Gateway[]>,
): Promise<Record<Contender, readonly Sample[]>> {
  const samples = Object.fromEntries(CONTENDERS.map((name) => [name, []])) as unknown as Record<
    Contender,
    Sample[]
  >;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? CONTENDERS : CONTENDERS.toReversed())
      samples[name].push(await sample(contenders[name], seconds, `R${round}`));
  }
  return samples;
}

/** Loads gateways at the same time, all of them together as much as a single one. */
async function sample(gateways: readonly Gateway[], forSeconds: number, run: string): Promise<Sample> {
  const carriers = carriersOf(gateways);
  const supervisors = gateways.filter(({ pid }) => !carriers.includes(pid));
  const read = () => ({
    all: sumOf(gateways.map(({ pid }) => cpuSeconds(pid))),
    carrying: sumOf(carriers.map(cpuSecondsOf)),
    supervisor: sumOf(supervisors.map(({ pid }) => cpuSecondsOf(pid))),
    interrupted: sumOf(carriers.map(interruptionsOf)),
  });
  const before = read();
  const results = await Promise.all(
    gateways.map(({ url }) =>
      load(
        {
          url,
          naming: 'header',
          connections: 'new',
          seconds: forSeconds,
          run,
          agents: AGENTS,
          concurrency: CONCURRENCY / gateways.length,
        },
        generator,
        bench.directory,
      ),
    ),
  );
  const after = read();
  const requests = sumOf(results.map((result) => result.requests));
  return {
    rate: sumOf(results.map((result) => result.requests / result.seconds)),
    seconds: sumOf(results.map((result) => result.seconds)) / results.length,
    errors: sumOf(results.map(({ errors }) => errors)),
    all: (after.all - before.all) / requests,
    carrying: (after.carrying - before.carrying) / requests,
    interrupted: (after.interrupted - before.interrupted) / requests,
    supervisor: after.supervisor - before.supervisor,
  };
}

function tableOf(samples: Record<Contender, readonly Sample[]>): string {
  return table([
    ['', 'requests/s', 'CPU µs/request', 'of the carriers', 'interrupted/request', 'errors'],
    ...CONTENDERS.map((name) => {
      const of = (pick: (one: Sample) => number): number => median(samples[name].map(pick));
      return [
        TITLES[name],
        of(({ rate }) => rate).toFixed(0),
        of(({ all }) => all * 1e6).toFixed(0),
        of(({ carrying }) => carrying * 1e6).toFixed(0),
        of(({ interrupted }) => interrupted).toFixed(2),
        String(sumOf(samples[name].map(({ errors }) => errors))),
      ];
    }),
  ]);
}

/** Prints the targets and what became of them; true where all are met. */
function judge(
  atTheLimit: Record<Contender, readonly Sample[]>,
  held: Record<Contender, readonly Sample[]>,
): boolean {
  const rates = (name: Contender): number[] => held[name].map(({ rate }) => rate);
  const costs = (name: Contender): number[] => atTheLimit[name].map(({ carrying }) => carrying);
  const apart = (of: (name: Contender) => number[], some: Contender, other: Contender): string =>
    median(ratios(of(some), of(other))).toFixed(2);
  const rateOfOne = meansOf(rates('one'), rates('otherOne'));
  const scaling = median(ratios(meansOf(rates('two'), rates('otherTwo')), rateOfOne));
  const costOfOne = meansOf(costs('one'), costs('otherOne'));
  const sharing = median(ratios(costOfOne, meansOf(costs('single'), costs('otherSingle'))));
  // Ticks of 10 ms are coarse beside what it uses: all rounds together.
  const supervised = (['one', 'otherOne', 'two', 'otherTwo'] as const).flatMap((name) => atTheLimit[name]);
  const supervisor =
    sumOf(supervised.map((sample) => sample.supervisor)) / sumOf(supervised.map((sample) => sample.seconds));

  print(
    `\none of the same, of the other: processes ${apart(costs, 'single', 'otherSingle')}, ` +
      `one worker ${apart(costs, 'one', 'otherOne')} and ${apart(rates, 'one', 'otherOne')}, ` +
      `two workers ${apart(costs, 'two', 'otherTwo')} and ${apart(rates, 'two', 'otherTwo')}\n` +
      `two gateways of one worker carry, of one: ${median(ratios(rates('both'), rateOfOne)).toFixed(2)} (2 is what this machine can show)`,
  );
  return [
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

/** How often the thread that serves lost its core before it was done (proc(5), /proc/pid/status). */
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

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
