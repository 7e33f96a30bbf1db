/**
 * What does a request cost in the gateway, next to other proxies, in one run on this machine?
 *
 *   npm run bench proxies -- [--only floor,gateway,tls] [--connections new|kept] [--against PATH] [--quick]
 *
 * The figure is processor time, of all processes of a proxy, which depends less than rates and latencies on the other load
 * of the machine. In each round every contender starts, takes load that does not count, is measured, and ends; it has a
 * core of its own, beside that of the load generator and a cheap upstream. A ratio is of two contenders in the same round.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { builtFrom } from '../../src/package.ts';
import { against, besideFile, judgeTrees, OTHER } from './against.ts';
import { BULK_TURN_SECONDS, bulkContenders, measureBulk } from './bulk.ts';
import type { ContenderName } from './contenders.ts';
import { CONTENDER_NAMES, contenderOf } from './contenders.ts';
import { divideCores } from './cores.ts';
import type { Connections } from './load.ts';
import { findGenerator } from './load.ts';
import { measureOpenLoop, OPEN_TURN_SECONDS, openContenders } from './open-loop.ts';
import { Workbench } from './processes.ts';
import type { SectionReport } from './report.ts';
import { print, printReport, requestRows, tell } from './report.ts';
import type { TurnPlan } from './requests.ts';
import { CONCURRENCY, loadedTurn, turnSeconds } from './requests.ts';
import { takeTurns } from './rounds.ts';
import { measureStart, START_TURN_SECONDS } from './start-size.ts';
import { startUpstream } from './started.ts';
import { judgeRequests } from './targets.ts';
import { measureTls, TLS_TURN_SECONDS } from './tls.ts';

const FILE = 'build/bench/proxies.json';
const CONNECTIONS: Readonly<Record<Connections, string>> = {
  new: 'A new TCP connection per request',
  kept: 'Kept-alive connections',
};
/** Beside the requests of contenders. */
const SECTIONS = {
  bulk: {
    title: 'bodies of 50 MB up and down',
    seconds: () => bulkContenders().length * BULK_TURN_SECONDS,
    measure: measureBulk,
  },
  tls: {
    title: 'TLS, full handshakes and resumed sessions',
    seconds: () => TLS_TURN_SECONDS,
    measure: measureTls,
  },
  open: {
    title: 'latency at 500/s and 1,000/s in an open loop',
    seconds: () => openContenders().length * OPEN_TURN_SECONDS,
    measure: measureOpenLoop,
  },
  start: {
    title: 'time to Running, and memory',
    seconds: () => 2 * START_TURN_SECONDS,
    measure: measureStart,
  },
} as const;
type SectionName = keyof typeof SECTIONS;
const SECTION_NAMES = Object.keys(SECTIONS) as SectionName[];

const HELP = `The gateway beside other proxies, on loopback. Exit code 1 if a target is missed.

  --only <a,b,…>       these contenders and sections; all without it
  --connections <how>  new (one TCP connection per request) or kept; both without it
  --rounds <n>         15, the fewest for verdicts
  --seconds <n>        of each measurement, 4
  --lead-in <n>        seconds of load before it that do not count, 6
  --quick              3 rounds, 1 s and 3 s
  --against <path>     another tree, built, whose gateways are measured beside those of this one; or a file of an
                       earlier run, which is shown beside this one, without verdicts
  --json <file>        all figures, ${FILE} without it

Contenders, whose requests are measured:
${CONTENDER_NAMES.map((name) => `  ${name.padEnd(20)} ${contenderOf(name).title}\n`).join('')}
Sections:
${SECTION_NAMES.map((name) => `  ${name.padEnd(20)} ${SECTIONS[name].title}\n`).join('')}`;

const { values: flags } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    connections: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    'lead-in': { type: 'string' },
    against: { type: 'string' },
    json: { type: 'string', default: FILE },
  },
});
if (flags.help) {
  print(HELP);
  process.exit(0);
}
const count = numberOf('rounds', flags.quick ? 3 : 15);
const rounds = { count, tell };
const plan: TurnPlan = {
  generator: findGenerator(),
  connections: wantedConnections(flags.connections),
  seconds: numberOf('seconds', flags.quick ? 1 : 4),
  leadInSeconds: numberOf('lead-in', flags.quick ? 3 : 6),
};
const other = flags.against === undefined ? {} : against(flags.against);
const asked = wanted(flags.only);
const missing = new Map(asked.contenders.map((name) => [name, contenderOf(name).missing?.()]));
const contenders = asked.contenders.filter((name) => missing.get(name) === undefined);
const others = other.main === undefined ? [] : contenders.filter((name) => contenderOf(name).isGateway);
const labels = contenders.flatMap((name) => (others.includes(name) ? [name, `${name}${OTHER}`] : [name]));

const cores = divideCores();
const bench = new Workbench(cores);
try {
  const machine =
    `node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; load from ` +
    `${plan.generator === 'wrk' ? 'wrk' : 'a node client (wrk is not installed)'}, ${CONCURRENCY} at a time; ` +
    (cores === undefined
      ? 'all on the same cores (one core, or no taskset)'
      : `contenders on core ${cores.ofMeasured}, load and upstream on core ${cores.ofOthers}`);
  print(
    `${machine}; ${count} rounds of ${plan.seconds} s after ${plan.leadInSeconds} s; 2 KB SOAP requests.`,
  );
  for (const name of contenders) print(`  ${name.padEnd(20)} ${contenderOf(name).title}`);
  for (const [name, reason] of missing) if (reason !== undefined) print(`left out: ${name}: ${reason}`);
  const ofSections = asked.sections.reduce((sum, name) => sum + SECTIONS[name].seconds(), 0);
  tell(`about ${Math.ceil((count * (labels.length * turnSeconds(plan) + ofSections)) / 60)} minutes`);
  const upstream = (await startUpstream(bench)).url;
  const reports = await measureRequests(upstream);
  for (const name of asked.sections) {
    const report = await SECTIONS[name].measure({ bench, upstream }, rounds);
    printReport(report);
    reports.push(report);
  }
  if (other.file !== undefined) printReport(besideFile(other.file, reports));
  save(machine, reports);
  if (reports.some(({ judged }) => judged.some(({ verdict }) => verdict === 'fail'))) process.exitCode = 1;
} finally {
  await bench.close();
}

async function measureRequests(upstream: string): Promise<SectionReport[]> {
  if (labels.length === 0) return [];
  let turn = 0;
  const turns = await takeTurns(labels, rounds, (label) => {
    turn += 1;
    const [name] = label.split('@') as [ContenderName];
    const main = label.endsWith(OTHER) ? other.main : undefined;
    return loadedTurn(name, { bench, upstream, turn, main }, plan);
  });
  const judged = [...judgeRequests(turns), ...judgeTrees(turns, others, plan.connections)];
  const reports = plan.connections.map((connections, i) => ({
    title: CONNECTIONS[connections],
    rows: requestRows(turns, connections),
    judged: i === plan.connections.length - 1 ? judged : [],
    data: Object.fromEntries([...turns].map(([name, all]) => [name, all.map((one) => one[connections])])),
  }));
  for (const report of reports) printReport(report);
  return reports;
}

function save(machine: string, reports: readonly SectionReport[]): void {
  const file = resolve(flags.json);
  mkdirSync(dirname(file), { recursive: true });
  const sections = reports.map(({ title, judged, data }) => ({ title, judged, data }));
  const commits = { commit: builtFrom(), against: flags.against, againstCommit: other.commit };
  const all = { date: new Date(), ...commits, machine, rounds: count, plan, sections };
  writeFileSync(file, `${JSON.stringify(all, undefined, 1)}\n`);
  print(`\nall figures: ${file}`);
}

function wanted(only: string | undefined): { contenders: ContenderName[]; sections: SectionName[] } {
  const names: readonly string[] =
    only?.split(',') ??
    (other.main === undefined
      ? [...CONTENDER_NAMES, ...SECTION_NAMES]
      : CONTENDER_NAMES.filter((name) => contenderOf(name).isGateway));
  const contenders = CONTENDER_NAMES.filter((name) => names.includes(name));
  const sections = SECTION_NAMES.filter((name) => names.includes(name));
  const known: readonly string[] = [...CONTENDER_NAMES, ...SECTION_NAMES];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Error(`--only: there is no ${unknown.join(', ')}, only ${known.join(', ')}`);
  return { contenders, sections };
}

function wantedConnections(connections: string | undefined): Connections[] {
  if (connections === undefined) return ['new', 'kept'];
  if (connections === 'new' || connections === 'kept') return [connections];
  throw new Error('--connections is new or kept');
}

function numberOf(name: 'rounds' | 'seconds' | 'lead-in', otherwise: number): number {
  const value = flags[name] === undefined ? otherwise : Number(flags[name]);
  if (!(Number.isInteger(value) && value >= 1)) throw new Error(`--${name} is a whole number of at least 1`);
  return value;
}
