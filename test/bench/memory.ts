/**
 * Does the gateway's memory stay flat under load?
 *
 *   npm run bench memory -- [--minutes 10]
 *
 * Loads a gateway in turns with known agents, by header and by body, on new and
 * on kept-alive connections, and with new agents. Bindings live for half a minute
 * here, and new agents come from a population that takes one minute to repeat:
 * so each of them is new, and their number is limited. After the first
 * minute resident memory may grow by less than 5 % to the end, measured along the
 * least-squares line, since single samples depend on where the garbage collector
 * is. Exit code 1 if it grew more.
 */
import { parseArgs } from 'node:util';
import { fitLine, table } from './figures.ts';
import type { LoadPlan } from './load.ts';
import { findGenerator, load } from './load.ts';
import { Workbench } from './processes.ts';
import { startGateway, startUpstream } from './started.ts';

interface Reading {
  /** Since the load began. */
  readonly seconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly requests: number;
}

const SAMPLE_MS = 15_000;
const WARM_UP_SECONDS = 60;
const MOST_GROWTH = 0.05;
const TURN_SECONDS = 3;
const MB = 1e6;
const TURNS: readonly Pick<LoadPlan, 'naming' | 'connections' | 'agents'>[] = [
  { naming: 'header', connections: 'new', agents: 500 },
  { naming: 'body', connections: 'new', agents: 500 },
  { naming: 'header', connections: 'kept', agents: 500 },
  { naming: 'new', connections: 'new', agents: 2_000 },
];
// The number of turns until the same new agents come again: those of a minute.
const POPULATIONS = Math.ceil(WARM_UP_SECONDS / (TURNS.length * TURN_SECONDS));
const IDLE_LIFETIME = { ICI_GATEWAY_AFFINITY__IDLE_LIFETIME: '30s' };

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write(
    'Memory of the gateway under load.\n\n  --minutes <n>  how long, at least 2; 10 without it\n',
  );
  process.exit(0);
}
const minutes = Number(values.minutes);
// Too few samples after the warm-up for a line.
if (!(minutes >= 2)) throw new Error('--minutes is a number of at least 2');

const generator = findGenerator();
const bench = new Workbench();
try {
  const upstream = await startUpstream(bench);
  const { url, adminUrl } = await startGateway(bench, upstream.url, 'memory', [], IDLE_LIFETIME);
  const readings = await observe(url, adminUrl);
  process.exitCode = report(readings) ? 0 : 1;
} finally {
  await bench.close();
}

async function observe(url: string, adminUrl: string): Promise<Reading[]> {
  const begunAt = performance.now();
  const seconds = (): number => (performance.now() - begunAt) / 1_000;
  const readings: Reading[] = [];
  let requests = 0;
  process.stdout.write('seconds  RSS MB  heap MB  requests\n');
  const read = async (): Promise<void> => {
    const reading = { seconds: seconds(), ...(await readMemory(adminUrl)), requests };
    readings.push(reading);
    process.stdout.write(`${row(reading).join('  ')}\n`);
  };
  const failed: unknown[] = [];
  const timer = setInterval(() => void read().catch((error: unknown) => failed.push(error)), SAMPLE_MS);
  try {
    for (let turn = 0; seconds() < minutes * 60; turn += 1) {
      const plan = TURNS[turn % TURNS.length] as (typeof TURNS)[number];
      const run = `M${Math.floor(turn / TURNS.length) % POPULATIONS}`;
      const more = { url, concurrency: 16, seconds: TURN_SECONDS, run };
      const result = await load({ ...plan, ...more }, generator, bench.directory);
      requests += result.requests;
      if (result.errors > 0) process.stdout.write(`${result.errors} requests failed in turn ${turn}\n`);
      if (failed.length > 0) throw failed[0];
    }
  } finally {
    clearInterval(timer);
  }
  return readings;
}

async function readMemory(adminUrl: string): Promise<Pick<Reading, 'residentBytes' | 'heapBytes'>> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const value = (name: string): number => {
    const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
    if (found === undefined) throw new Error(`/metrics shows no ${name}`);
    return Number(found);
  };
  return {
    residentBytes: value('process_resident_memory_bytes'),
    heapBytes: value('nodejs_heap_size_used_bytes'),
  };
}

function report(readings: readonly Reading[]): boolean {
  const warm = readings.filter(({ seconds }) => seconds >= WARM_UP_SECONDS);
  const from = warm[0]?.seconds ?? Number.NaN;
  const to = warm.at(-1)?.seconds ?? Number.NaN;
  const lineOf = (pick: (reading: Reading) => number): { rate: number; growth: number } => {
    const { slope, at } = fitLine(warm.map((reading) => ({ x: reading.seconds, y: pick(reading) })));
    return { rate: slope * 60, growth: at(to) / at(from) - 1 };
  };
  const resident = lineOf(({ residentBytes }) => residentBytes);
  const heap = lineOf(({ heapBytes }) => heapBytes);
  const cells = (name: string, { rate, growth }: { rate: number; growth: number }): string[] => [
    name,
    (rate / MB).toFixed(3),
    (growth * 100).toFixed(1),
  ];
  const rows = [['', 'MB a minute', 'growth %'], cells('resident', resident), cells('heap', heap)];
  const flat = resident.growth < MOST_GROWTH;
  process.stdout.write(
    `\nfrom ${from.toFixed(0)} s to ${to.toFixed(0)} s, ${readings.at(-1)?.requests} requests\n${table(rows)}\n` +
      `resident memory is ${flat ? 'flat' : 'not flat'}: less than ${MOST_GROWTH * 100} % is wanted\n`,
  );
  return flat;
}

function row({ seconds, residentBytes, heapBytes, requests }: Reading): string[] {
  return [
    seconds.toFixed(0).padStart(7),
    (residentBytes / MB).toFixed(1).padStart(6),
    (heapBytes / MB).toFixed(1).padStart(7),
    String(requests).padStart(8),
  ];
}
