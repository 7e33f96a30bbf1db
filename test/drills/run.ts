/**
 * Does a client notice when processes of a gateway are killed or replaced, or a gateway is stopped and started? A
 * new TCP connection for each request, as SAP CRM opens it, in an open loop.
 *
 *   npm run trial drills -- [--only kills,reloads] [--kills 1000] [--restarts 200] [--reloads 200] [--cycles 100] [--rate 500]
 *   [--busy 1]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startRedis } from '../support/redis-server.ts';
import { isUsage, Usage } from '../support/usage.ts';
import type { DrillOptions, DrillReport } from './drills.ts';
import {
  drillController,
  drillCycles,
  drillKills,
  drillQueue,
  drillReloads,
  drillRestarts,
  startPair,
} from './drills.ts';
import type { Line } from './report.ts';
import { isMet, lineOf, queueLine, tableOf } from './report.ts';
import type { DrilledGateway, Stage } from './stage.ts';
import { setStage } from './stage.ts';

type Drill = (stage: Stage, options: DrillOptions) => Promise<DrillReport>;

/** The drill, with a separate gateway. */
function alone(drill: (gateway: DrilledGateway, options: DrillOptions) => Promise<DrillReport>): Drill {
  return async (stage, options) => drill(await stage.gateway({ workers: options.workers }), options);
}

const cycles: Drill = async (stage, options) => {
  const pair = await startPair(stage, options.workers);
  try {
    return await drillCycles(pair, options);
  } finally {
    await pair.close();
  }
};

/** The drills, each with its default number of strikes. */
const DRILLS: Readonly<
  Record<
    string,
    {
      readonly times: number;
      readonly workers: number;
      /** {@link USUAL_RATE} by default. */
      readonly perSecond?: number;
      readonly run: Drill;
      readonly what: string;
    }
  >
> = {
  kills: {
    times: 1_000,
    workers: 4,
    run: alone(drillKills),
    what: 'SIGKILL of random workers, every tenth time of all',
  },
  one: {
    times: 20,
    workers: 4,
    perSecond: 250,
    run: alone((gateway, options) => drillKills(gateway, options, 'one')),
    what: 'SIGKILL of one worker of four',
  },
  all: {
    times: 40,
    workers: 4,
    perSecond: 250,
    run: alone((gateway, options) => drillKills(gateway, options, 'all')),
    what: 'SIGKILL of all workers at once',
  },
  restarts: {
    times: 200,
    workers: 2,
    perSecond: 250,
    run: alone(drillRestarts),
    what: 'ici-gateway restart --rolling',
  },
  reloads: {
    times: 200,
    workers: 2,
    perSecond: 250,
    run: alone(drillReloads),
    what: 'another configuration, and SIGHUP',
  },
  cycles: {
    times: 100,
    workers: 1,
    run: cycles,
    what: 'soft stop and start of one of two gateways behind haproxy',
  },
  controller: { times: 10, workers: 2, run: alone(drillController), what: 'SIGKILL of the controller' },
};
const USUAL_RATE = 500;
const QUEUE = 'queue';
const QUEUED = 100;

const HELP = `Usage: npm run trial drills -- [options]

Ends with 1 if a request failed that may not, or was refused, or if answers came later than a target allows.

${Object.entries(DRILLS)
  .map(([name, { times, what }]) => `  --${`${name} <n>`.padEnd(16)} ${what} (${times})`)
  .join('\n')}
  --only <a,b,…>     of ${[...Object.keys(DRILLS), QUEUE].join(', ')}; queue: the only worker is killed, ${QUEUED} connect
  --rate <n>         new connections per second (250 for one, all, restarts and reloads, else 500)
  --busy <n>         processes that compute without end meanwhile (0)
  --workers <n>      of each gateway (4 where workers are killed, 1 of each of two gateways, else 2)
  --help
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rate: { type: 'string' },
    busy: { type: 'string', default: '0' },
    workers: { type: 'string' },
    help: { type: 'boolean', default: false },
    ...(Object.fromEntries(Object.keys(DRILLS).map((name) => [name, { type: 'string' }])) as Record<
      string,
      { type: 'string' }
    >),
  },
});

function numberOf(flag: string, fallback: number): number {
  const given = (values as Record<string, string | boolean | undefined>)[flag];
  const number = given === undefined ? fallback : Number(given);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Usage(`--${flag} must be a whole number above 0`);
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const names = [...Object.keys(DRILLS), QUEUE];
  const wanted = values.only?.split(',') ?? names;
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new Usage(`--only: there is no drill ${unknown}; there are ${names.join(', ')}`);
  const plans = Object.entries(DRILLS).map(([name, { times, workers, perSecond = USUAL_RATE, ...rest }]) => ({
    name,
    times: numberOf(name, times),
    workers: numberOf('workers', workers),
    perSecond: numberOf('rate', perSecond),
    ...rest,
  }));

  // All started programs keep their files in here.
  const directory = mkdtempSync(join(tmpdir(), 'ici-drills-'));
  process.env['TMPDIR'] = directory;
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const busy = Array.from({ length: Number(values.busy) }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  process.once('exit', () => {
    for (const one of busy) one.kill('SIGKILL');
  });
  const redis = await startRedis();
  let stage: Stage | undefined;
  const tidy = async (): Promise<void> => {
    await stage?.close();
    stage = undefined;
  };
  const interrupted = new AbortController();
  let code = 0;
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.on(signal, () => {
      code = 128 + number;
      if (interrupted.signal.aborted) {
        void tidy()
          .then(() => redis.stop())
          .finally(() => process.exit(code));
        return;
      }
      say('ends after this time, and shows what was seen so far; once more ends at once');
      interrupted.abort();
    });
  }

  const lines: Line[] = [];
  try {
    for (const { name, times, workers, perSecond, run, what } of plans.filter((plan) =>
      wanted.includes(plan.name),
    )) {
      if (interrupted.signal.aborted) break;
      stage = await setStage(redis.url);
      const report = await run(stage, {
        times,
        perSecond,
        workers,
        signal: interrupted.signal,
        onProgress: progress(name, times),
      });
      lines.push(lineOf(name, what, report));
      for (const example of report.examples) say(`  ${example}`);
      say(`  slowest: ${report.slowest}`);
      await tidy();
    }
    if (wanted.includes(QUEUE) && !interrupted.signal.aborted) {
      stage = await setStage(redis.url);
      const gateway = await stage.gateway({ workers: 1 });
      lines.push(queueLine(await drillQueue(gateway, { connections: QUEUED })));
      await tidy();
    }
  } finally {
    for (const one of busy) one.kill('SIGKILL');
    await tidy();
    await redis.stop();
  }
  process.stdout.write(`\n${tableOf(lines)}\n`);
  return code !== 0 ? code : lines.every(isMet) ? 0 : 1;
}

/** A line for every tenth part and for each failure. */
function progress(name: string, times: number): DrillOptions['onProgress'] {
  let seen = 0;
  let tenths = 0;
  return (done, misses) => {
    const reached = Math.floor((done / times) * 10);
    if (misses === seen && reached === tenths) return;
    seen = misses;
    tenths = reached;
    say(`${name}: ${done} of ${times}, ${misses} requests failed that may not`);
  };
}

/** Progress goes to stderr, so that stdout is the table alone. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!isUsage(error)) throw error;
  say(error.message);
  process.exitCode = 2;
}
