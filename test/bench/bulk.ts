import { readFileSync, writeFileSync } from 'node:fs';
import type { ContenderName } from './contenders.ts';
import { contenderOf } from './contenders.ts';
import { cpuSeconds, processesOf } from './processes.ts';
import type { SectionReport } from './report.ts';
import { spread } from './report.ts';
import type { Rounds } from './rounds.ts';
import { takeTurns } from './rounds.ts';
import type { Stage } from './started.ts';
import { judged } from './targets.ts';
import { download, upload } from './wire-client.ts';

/** Bodies of 50 MB, up and down: processor time of a transfer, and whether memory stays flat. */

interface Sample {
  readonly upMs: number;
  readonly downMs: number;
  /** Peak resident memory, in MB: of the first transfers, and of as many later ones. */
  readonly earlyMb: number;
  readonly lateMb: number;
}

const BYTES = 50e6;
const TRANSFERS = 4;
const MOST_CPU = 1.15;
// One of these bodies in memory would be far more.
const MOST_GROWTH = 1.1;
const CONTENDERS: readonly ContenderName[] = ['haproxy', 'floor', 'reply-from', 'gateway'];
export const BULK_TURN_SECONDS = 6;

export function bulkContenders(): ContenderName[] {
  return CONTENDERS.filter((name) => contenderOf(name).missing?.() === undefined);
}

export async function measureBulk(stage: Omit<Stage, 'turn'>, rounds: Rounds): Promise<SectionReport> {
  let turn = 0;
  const turns = await takeTurns(bulkContenders(), rounds, (name) => {
    turn += 1;
    return transfers(name, { ...stage, turn: 10_000 + turn });
  });
  const of = (name: ContenderName, pick: (sample: Sample) => number): number[] =>
    (turns.get(name) ?? []).map(pick);
  const ratio = (what: string, pick: (sample: Sample) => number) =>
    judged(
      `CPU of 50 MB ${what}, gateway / reply-from`,
      of('gateway', pick),
      of('reply-from', pick),
      MOST_CPU,
    );
  return {
    title: `Bodies of 50 MB, ${TRANSFERS} of each, one after another`,
    rows: [
      ['', 'CPU ms up: min', 'median', 'max', 'down: min', 'median', 'max', 'peak MB'],
      ...[...turns].map(([name, samples]) => [
        name,
        ...spread(samples.map(({ upMs }) => upMs)),
        ...spread(samples.map(({ downMs }) => downMs)),
        spread(samples.map(({ lateMb }) => lateMb))[1] as string,
      ]),
    ],
    judged: [
      ratio('up', ({ upMs }) => upMs),
      ratio('down', ({ downMs }) => downMs),
      judged(
        'peak memory of the gateway, later / first transfers',
        of('gateway', ({ lateMb }) => lateMb),
        of('gateway', ({ earlyMb }) => earlyMb),
        MOST_GROWTH,
      ),
    ],
    data: Object.fromEntries(turns),
  };
}

async function transfers(name: ContenderName, stage: Stage): Promise<Sample> {
  const { url, program } = await contenderOf(name).start(stage);
  const several = async (one: (url: string, bytes: number) => Promise<void>): Promise<number> => {
    const before = cpuSeconds(program.pid);
    for (let i = 0; i < TRANSFERS; i += 1) await one(url, BYTES);
    return ((cpuSeconds(program.pid) - before) * 1e3) / TRANSFERS;
  };
  try {
    await several(upload);
    await several(download);
    const earlyMb = peakMb(program.pid);
    const [upMs, downMs] = [await several(upload), await several(download)];
    return { upMs, downMs, earlyMb, lateMb: peakMb(program.pid) };
  } finally {
    await program.kill();
  }
}

/** The peak since the last call (proc(5), VmHWM and clear_refs). */
function peakMb(group: number): number {
  return processesOf(group).reduce((sum, pid) => {
    const peak = Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    return sum + peak / 1_000;
  }, 0);
}
