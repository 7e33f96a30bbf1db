import { table } from '../bench/figures.ts';
import type { Row } from './experiment.ts';
import { targetsOf } from './targets.ts';

const HEAD = [
  'fault',
  'pool',
  'requests',
  'refused',
  'failed',
  'under way',
  'moved',
  'seen',
  'served again',
  'p99',
  'slowest',
  'new agents',
  'splits',
  'duplicates',
  'late',
  'one view',
  'targets',
];

function cellsOf(row: Row): string[] {
  const missed = targetsOf(row).filter(({ met }) => !met);
  const others = row.movedInVain === 0 ? '' : ` + ${row.movedInVain}`;
  const promoted =
    row.recoveredAfterPromotionMs === undefined
      ? ms(row.recoveryMs)
      : `${ms(row.recoveredAfterPromotionMs)} after promotion`;
  return [
    row.scenario.title,
    row.mode,
    String(row.requests),
    String(row.refused),
    String(row.failed - row.refused),
    String(row.underWay),
    row.bereft === 0 ? `0${others}` : `${row.moved} of ${row.bereft}${others}`,
    ms(row.detectedMs),
    promoted,
    ms(row.p99Ms),
    ms(row.slowestMs),
    row.newcomers === 0 ? '–' : `${row.newcomersPlaced} of ${row.newcomers}`,
    String(row.splits),
    String(row.duplicates),
    String(row.late),
    ms(row.agreedMs),
    missed.length === 0 ? 'met' : 'MISSED',
  ];
}

function ms(value: number | undefined): string {
  if (value === undefined) return '–';
  if (!Number.isFinite(value)) return 'never';
  return value < 1_000 ? `${Math.round(value)} ms` : `${(value / 1_000).toFixed(1)} s`;
}

export function plainTable(rows: readonly Row[]): string {
  return table([HEAD, ...rows.map(cellsOf)]);
}

export function markdownTable(rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(HEAD), line(HEAD.map(() => '---')), ...rows.map((row) => line(cellsOf(row)))].join('\n');
}

/** The missed targets and the errors of failed requests; empty if all targets are met. */
export function remarks(row: Row): string[] {
  const where = `${row.scenario.name}, ${row.mode}`;
  const missed = targetsOf(row)
    .filter(({ met }) => !met)
    .map(({ text }) => `${where}: MISSED ${text}`);
  if (row.disagreement !== undefined) missed.push(`${where}: ${row.disagreement}`);
  missed.push(`${where}: the archive says: ${row.fault}`);
  missed.push(...row.examples.map((example) => `${where}: ${example}`));
  const told = Object.entries(row.failures).map(([code, count]) => `${count} ${code}`);
  return told.length === 0 ? missed : [...missed, `${where}: failed with ${told.join(', ')}`];
}
