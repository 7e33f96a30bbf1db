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
  'p99',
  'slowest',
  'as before after',
];

/** From the death of the controller until its successor shows the view. */
const CONTROLLER_MS = 2_000;

export function lineOf(name: string, what: string, report: DrillReport): Line {
  const { times, requests, perSecond, refused, failed, cut, moved, p99Ms, slowestMs, longestMs } = report;
  return {
    cells: [
      what,
      ...[times, requests, Math.round(perSecond), refused, failed, cut, moved].map(String),
      ...[p99Ms, slowestMs, longestMs].map(ms),
    ],
    isMet:
      refused + failed + moved === 0 &&
      (name === 'kills' || cut === 0) &&
      (name !== 'controller' || longestMs <= CONTROLLER_MS),
  };
}

export function queueLine({ connections, answered, failures, slowestMs }: QueueReport): Line {
  const failed = connections - answered;
  return {
    cells: [
      `the only worker is killed, ${connections} connect${failures.length === 0 ? '' : ` (${failures.join(', ')})`}`,
      ...['1', String(connections), '–', '–', String(failed), '0', '–', '–'],
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
