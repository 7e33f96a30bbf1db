import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { MAIN } from '../../src/package.ts';
import { eventually } from '../support/eventually.ts';
import { childrenOf } from '../support/host-processes.ts';
import { freePort } from '../support/redis-server.ts';
import type { SectionReport } from './report.ts';
import { spread } from './report.ts';
import type { Rounds } from './rounds.ts';
import { takeTurns } from './rounds.ts';
import type { Stage } from './started.ts';
import { judged } from './targets.ts';

/** How long a start takes until the gateway is Running, on all cores, and how much memory its processes have then. */

interface Sample {
  readonly runningMs: number;
  readonly mainMb: number;
  /** Not with `workers: 0`. */
  readonly controllerMb: number | undefined;
  readonly workerMb: number | undefined;
}

const WORKERS = [0, 2] as const;
const MOST_MS = { 0: 550, 2: 900 } as const;
const MOST_SUPERVISOR_MB = 60;
export const START_TURN_SECONDS = 1.5;

export async function measureStart(stage: Omit<Stage, 'turn'>, rounds: Rounds): Promise<SectionReport> {
  const names = WORKERS.map((workers) => `workers ${workers}` as const);
  const turns = await takeTurns(names, rounds, (name, round) =>
    start(stage, WORKERS[names.indexOf(name)] as 0 | 2, round),
  );
  const of = (name: (typeof names)[number], pick: (sample: Sample) => number | undefined): number[] =>
    (turns.get(name) ?? []).flatMap((sample) => pick(sample) ?? []);
  const most = (what: string, values: readonly number[], limit: number) =>
    judged(
      `${what}, of ${limit}`,
      values,
      values.map(() => limit),
      1,
    );
  const sizes: readonly (readonly [string, number[]])[] = [
    ['single process, MB', of('workers 0', ({ mainMb }) => mainMb)],
    ['supervisor, MB', of('workers 2', ({ mainMb }) => mainMb)],
    ['controller, MB', of('workers 2', ({ controllerMb }) => controllerMb)],
    ['worker, MB', of('workers 2', ({ workerMb }) => workerMb)],
  ];
  return {
    title: 'Start, and resident memory when Running',
    rows: [
      ['', 'min', 'median', 'max'],
      ...names.map((name) => [
        `${name}: until Running, ms`,
        ...spread(of(name, ({ runningMs }) => runningMs)),
      ]),
      ...sizes.map(([title, values]) => [title, ...spread(values)]),
    ],
    judged: [
      ...names.map((name, i) =>
        most(
          `ms until Running, ${name}`,
          of(name, ({ runningMs }) => runningMs),
          MOST_MS[WORKERS[i] as 0 | 2],
        ),
      ),
      most(
        'MB of the supervisor',
        of('workers 2', ({ mainMb }) => mainMb),
        MOST_SUPERVISOR_MB,
      ),
    ],
    data: Object.fromEntries(turns),
  };
}

async function start(
  { bench, upstream, main = MAIN }: Omit<Stage, 'turn'>,
  workers: 0 | 2,
  round: number,
): Promise<Sample> {
  const admin = await freePort();
  const addresses = ['--listen', '127.0.0.1:0', '--admin', `127.0.0.1:${admin}`];
  const flags = ['--workers', String(workers), '--mode', 'sticky', '--instance', `a=${upstream}`];
  const env = { XDG_STATE_HOME: join(bench.directory, `start-${workers}-${round}`) };
  const begunAt = performance.now();
  const program = bench.startAnywhere([process.execPath, main, 'start', ...addresses, ...flags], env);
  try {
    await eventually(() => isReady(admin), { within: 15_000, every: 10 });
    const runningMs = performance.now() - begunAt;
    const { controller, workers: children } = childrenOf(program.pid);
    const [worker] = children.values();
    return {
      runningMs,
      mainMb: residentMb(program.pid),
      controllerMb: controller === undefined ? undefined : residentMb(controller),
      workerMb: worker === undefined ? undefined : residentMb(worker),
    };
  } finally {
    await program.kill();
  }
}

function isReady(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/readyz', agent: false }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`/readyz answered ${response.statusCode}`));
    })
      .once('error', reject)
      .end();
  });
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1_000;
}
