import { median, table } from './figures.ts';
import type { Connections } from './load.ts';
import type { Sample, Turn } from './requests.ts';
import type { Judged } from './targets.ts';

/** What a section measured. */
export interface SectionReport {
  readonly title: string;
  /** The first row is the head. */
  readonly rows: readonly (readonly string[])[];
  readonly judged: readonly Judged[];
  /** For the file: all figures of all turns. */
  readonly data: unknown;
}

export function printReport({ title, rows, judged }: SectionReport): void {
  print(`\n${title}\n\n${table(rows)}`);
  if (judged.length === 0) return;
  const head = ['', 'median', '95 % interval', 'pairs', 'target', ''];
  const lines = judged.map(({ what, median: middle, low, high, pairs, target, verdict }) => [
    what,
    middle.toFixed(3),
    `${low.toFixed(3)} to ${high.toFixed(3)}`,
    String(pairs),
    target,
    verdict,
  ]);
  print(`\n${table([head, ...lines])}`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Progress, beside the report. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The smallest, the middle and the largest value. */
export function spread(values: readonly number[], digits = 0): string[] {
  return [Math.min(...values), median(values), Math.max(...values)].map((value) => value.toFixed(digits));
}

/** A row for each contender under load. */
export function requestRows(
  turns: ReadonlyMap<string, readonly Turn[]>,
  connections: Connections,
): string[][] {
  const head = ['', 'CPU µs/request: min', 'median', 'max', 'requests/s', 'p50 ms', 'p99 ms', 'errors'];
  const rows = [...turns].map(([label, all]) => {
    const samples = all.flatMap((turn) => turn[connections] ?? []);
    const middle = (pick: (sample: Sample) => number, digits: number): string =>
      median(samples.map(pick)).toFixed(digits);
    return [
      label,
      ...spread(samples.map(({ cpuMicros }) => cpuMicros)),
      middle(({ perSecond }) => perSecond, 0),
      middle(({ p50Ms }) => p50Ms, 2),
      middle(({ p99Ms }) => p99Ms, 2),
      String(samples.reduce((sum, { errors }) => sum + errors, 0)),
    ];
  });
  return [head, ...rows];
}
