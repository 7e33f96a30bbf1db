import type { ContenderName } from './contenders.ts';
import { contenderOf } from './contenders.ts';
import type { Connections, LoadPlan } from './load.ts';
import { load } from './load.ts';
import { cpuSeconds } from './processes.ts';
import type { Stage, Started } from './started.ts';

/** One contender under load: processor time and rate, with its own process for this turn. */
export interface Sample {
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

export interface TurnPlan {
  readonly generator: 'wrk' | 'node';
  readonly connections: readonly Connections[];
  readonly seconds: number;
  /** Load that does not count: code that has run less often is slower. */
  readonly leadInSeconds: number;
}

export const CONCURRENCY = 16;
export const AGENTS = 500;
// More than one run can send, so that each request has another agent.
const ENDLESS = 10_000_000;
const START_SECONDS = 1;

export type Turn = Readonly<Partial<Record<Connections, Sample>>>;

/** How long a turn takes. */
export function turnSeconds({ connections, seconds, leadInSeconds }: TurnPlan): number {
  return START_SECONDS + connections.length * seconds + leadInSeconds + (connections.length - 1);
}

/** Starts a contender, loads it, and ends it. The second kind of connections finds it warm, so its lead-in is short. */
export async function loadedTurn(name: ContenderName, stage: Stage, plan: TurnPlan): Promise<Turn> {
  const contender = contenderOf(name);
  const started = await contender.start(stage);
  try {
    const turn: Partial<Record<Connections, Sample>> = {};
    for (const [i, connections] of plan.connections.entries()) {
      const run = `${connections === 'new' ? 'N' : 'K'}${stage.turn}`;
      const own = { naming: contender.naming, connections, url: started.url, concurrency: CONCURRENCY };
      const agents = contender.naming === 'new' ? ENDLESS : AGENTS;
      const of = (label: string, seconds: number): LoadPlan => ({
        ...own,
        agents,
        seconds,
        run: `${label}${run}`,
      });
      await sample(started, of('L', i === 0 ? plan.leadInSeconds : 1), plan.generator, stage);
      turn[connections] = await sample(started, of('M', plan.seconds), plan.generator, stage);
    }
    return turn;
  } finally {
    await started.program.kill();
  }
}

async function sample(
  { program }: Started,
  plan: LoadPlan,
  generator: 'wrk' | 'node',
  { bench }: Stage,
): Promise<Sample> {
  const before = cpuSeconds(program.pid);
  const result = await load(plan, generator, bench.directory);
  const cpu = cpuSeconds(program.pid) - before;
  return {
    cpuMicros: (cpu * 1e6) / result.requests,
    perSecond: result.requests / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    errors: result.errors,
  };
}
