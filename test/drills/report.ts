import type { DrillReport, QueueReport } from './drills.ts';

/** One row of the table, and whether it meets the targets. */
export interface Line {
  readonly cells: readonly string[];
  readonly isMet: boolean;
}

const HEAD = [
  'drill',
  'times',
  'requests',
  'per second',
  'refused',
  'failed',
  'cut with the killed',
  'agents moved',
  'p99 undisturbed',
  'p99',
  'slowest',
  'as before after',
];

/** From the death of the controller until its successor shows the view. */
const CONTROLLER_MS = 2_000;
/** The slowest answer when no worker is left. */
const ALL_KILLED_MS = 1_000;
/** How much later the 99th percentile is while one worker of four is missing. */
const ONE_KILLED_MS = 50;
/** How many times as late it is while processes are replaced. */
const REPLACED_TIMES = 2;

/** What a drill promises of latencies. */
const IN_TIME: Readonly<Record<string, (report: DrillReport) => boolean>> = {
  all: ({ slowestMs }) => slowestMs <= ALL_KILLED_MS,
  one: ({ p99Ms, calmP99Ms }) => p99Ms <= calmP99Ms + ONE_KILLED_MS,
  restarts: ({ p99Ms, calmP99Ms }) => p99Ms <= calmP99Ms * REPLACED_TIMES,
  reloads: ({ p99Ms, calmP99Ms }) => p99Ms <= calmP99Ms * REPLACED_TIMES,
  controller: ({ longestMs }) => longestMs <= CONTROLLER_MS,
};
const KILLS_WORKERS: ReadonlySet<string> = new Set(['kills', 'one', 'all']);

export function lineOf(name: string, what: string, report: DrillReport): Line {
  const { times, requests, perSecond, refused, failed, cut, moved } = report;
  const { calmP99Ms, p99Ms, slowestMs, longestMs } = report;
  return {
    cells: [
      what,
      ...[times, requests, Math.round(perSecond), refused, failed, cut, moved].map(String),
      ...[calmP99Ms, p99Ms, slowestMs, longestMs].map(ms),
    ],
    isMet:
      refused + failed + moved === 0 &&
      (KILLS_WORKERS.has(name) || cut === 0) &&
      (IN_TIME[name]?.(report) ?? true),
  };
}

export function queueLine({ connections, answered, failures, slowestMs }: QueueReport): Line {
  const failed = connections - answered;
  return {
    cells: [
      `the only worker is killed, ${connections} connect${failures.length === 0 ? '' : ` (${failures.join(', ')})`}`,
      ...['1', String(connections), '–', '–', String(failed), '0', '–', '–', '–'],
      ...[ms(slowestMs), '–'],
    ],
    isMet: failed === 0,
  };
}

export function isMet(line: Line): boolean {
  return line.isMet;
}

/** Markdown. */
export function tableOf(lines: readonly Line[]): string {
  const rows = [
    [...HEAD, 'targets'],
    [...HEAD, ''].map(() => '---'),
    ...lines.map(({ cells, isMet }) => [...cells, isMet ? 'met' : 'MISSED']),
  ];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function ms(value: number): string {
  return value < 1_000 ? `${Math.round(value)} ms` : `${(value / 1_000).toFixed(1)} s`;
}
