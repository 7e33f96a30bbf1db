/**
 * What do several processes cost and carry, next to a single one, in one run on this machine?
 *
 *   npm run bench:workers -- [--rounds 12] [--seconds 2]
 *
 * A machine with few cores has no core left for each worker beside the load
 * generator and the upstream, so rates say little. Looked at is processor time:
 * a worker that has a core to itself carries one request per processor time that
 * a request takes, and a gateway as many as its busiest worker lets it. That
 * counts both what workers cost each other and how unevenly they share the
 * connections. Each is loaded to its limit; they take turns, and a ratio is the
 * median of the ratios of the rounds.
 *
 * Two processes that run the same code are not equally fast. So there are two of
 * each that has one carrier, a round's ratio is of their means, and the report
 * says how far the two are apart: what differs by less than that, nobody can see.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { childrenOf } from '../support/host-processes.ts';
import { startGateway, startUpstream } from './contenders.ts';
import { median, table } from './figures.ts';
import { findGenerator, load } from './load.ts';
import { cpuSeconds, cpuSecondsOf, Workbench } from './processes.ts';

interface Contender {
  readonly title: string;
  readonly url: string;
  /** The single process, or the supervisor, whose number is that of the group too. */
  readonly pid: number;
  /** Those that carry traffic. */
  readonly carriers: readonly number[];
}

interface Sample {
  readonly requests: number;
  readonly seconds: number;
  readonly errors: number;
  /** Processor seconds of all processes, of those that carry traffic, and of the supervisor. */
  readonly all: number;
  readonly carriers: readonly number[];
  readonly supervisor: number;
}

const CONTENDERS = [
  { title: 'one process', workers: 0 },
  { title: 'one worker', workers: 1 },
  { title: 'two workers', workers: 2 },
  { title: 'another worker', workers: 1 },
  { title: 'another process', workers: 0 },
] as const;
const CONCURRENCY = 32;
const AGENTS = 500;
// Of each process that carries traffic: code that has run less often is slower, and two share the requests.
const WARM_UP_SECONDS = 10;
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
    'One process, one worker, each twice, and two workers beside each other.\n\n  --rounds <n>   12\n  --seconds <n>  of each round, 2',
  );
  process.exit(0);
}
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
if (!(rounds >= 1 && seconds >= 1)) throw new Error('--rounds and --seconds are numbers of at least 1');

const generator = findGenerator();
const bench = new Workbench();
try {
  const upstream = await startUpstream(bench);
  const contenders: Contender[] = [];
  for (const [i, { title, workers }] of CONTENDERS.entries()) {
    const flags = ['--workers', String(workers)];
    const { url, program } = await startGateway(bench, upstream.url, `gateway-${i}`, flags);
    const { pid } = program;
    contenders.push({
      title,
      url,
      pid,
      carriers: workers === 0 ? [pid] : [...childrenOf(pid).workers.values()],
    });
  }
  print(
    `node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; load from ${generator}, ` +
      `${CONCURRENCY} at a time, a new connection for each, ${rounds} rounds of ${seconds} s; known agents, by header.\n`,
  );
  for (const contender of contenders)
    await sample(contender, WARM_UP_SECONDS * contender.carriers.length, 'W');
  const samples = contenders.map((): Sample[] => []);
  for (let round = 0; round < rounds; round += 1) {
    // There and back again, so that none always comes after the same one.
    const order = [...contenders.keys()];
    for (const i of round % 2 === 0 ? order : order.toReversed()) {
      samples[i]?.push(await sample(contenders[i] as Contender, seconds, `R${round}`));
    }
  }
  process.exitCode = report(contenders, samples) ? 0 : 1;
} finally {
  await bench.close();
}

async function sample({ url, pid, carriers }: Contender, forSeconds: number, run: string): Promise<Sample> {
  const read = (): { all: number; each: number[]; own: number } => ({
    all: cpuSeconds(pid),
    each: carriers.map(cpuSecondsOf),
    own: cpuSecondsOf(pid),
  });
  const before = read();
  const result = await load(
    {
      url,
      naming: 'header',
      connections: 'new',
      seconds: forSeconds,
      run,
      agents: AGENTS,
      concurrency: CONCURRENCY,
    },
    generator,
    bench.directory,
  );
  const after = read();
  return {
    requests: result.requests,
    seconds: result.seconds,
    errors: result.errors,
    all: after.all - before.all,
    carriers: after.each.map((cpu, i) => cpu - (before.each[i] ?? 0)),
    supervisor: carriers.includes(pid) ? 0 : after.own - before.own,
  };
}

/** Prints the table and the targets; true where all are met. */
function report(contenders: readonly Contender[], samples: readonly (readonly Sample[])[]): boolean {
  const of = (i: number, pick: (one: Sample) => number): number => median((samples[i] ?? []).map(pick));
  print(
    table([
      [
        '',
        'CPU µs/request',
        'of the carriers',
        'busiest',
        'carries, a core each',
        'requests/s here',
        'errors',
      ],
      ...contenders.map(({ title }, i) => [
        title,
        of(i, ({ all, requests }) => (all * 1e6) / requests).toFixed(1),
        of(i, (one) => (sumOf(one.carriers) * 1e6) / one.requests).toFixed(1),
        `${(of(i, (one) => Math.max(...one.carriers) / sumOf(one.carriers)) * 100).toFixed(0)} %`,
        of(i, carried).toFixed(0),
        of(i, (one) => one.requests / one.seconds).toFixed(0),
        String((samples[i] ?? []).reduce((sum, { errors }) => sum + errors, 0)),
      ]),
    ]),
  );
  const [single, one, two, otherOne, otherSingle] = samples.map((own) => own.map(carried)) as [
    number[],
    number[],
    number[],
    number[],
    number[],
  ];
  const ones = meansOf(one, otherOne);
  const scaling = median(ratios(two, ones));
  const sharing = median(ratios(meansOf(single, otherSingle), ones));
  // Ticks of 10 ms are coarse beside what it uses: all rounds together.
  const supervised = samples.flatMap((own, i) => (CONTENDERS[i]?.workers === 0 ? [] : own));
  const supervisor =
    sumOf(supervised.map((sample) => sample.supervisor)) / sumOf(supervised.map((sample) => sample.seconds));
  print(
    `\none of the same, of the other: ${median(ratios(single, otherSingle)).toFixed(2)} of the processes, ` +
      `${median(ratios(one, otherOne)).toFixed(2)} of the workers`,
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

/** Requests per second, had every process that carries traffic a core of its own. */
function carried({ requests, carriers }: Sample): number {
  return requests / Math.max(...carriers);
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
