import { styleText } from 'node:util';
import { showHidden } from '../../core/hidden-characters.ts';
import { span } from '../../core/span.ts';
import type { Output, Terminal } from '../output.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

/** How a text for people looks on the terminal that shows it. */
export interface Look {
  paint(colour: Colour | undefined, text: string): string;
  /** The present, from which ages are counted. */
  readonly now: number;
}

export interface JsonFlag {
  readonly json?: boolean;
}

/** Shows an answer: as text to people at a terminal, as JSON to programs. */
export function show<Body>(
  output: Output,
  { json }: JsonFlag,
  body: Body,
  text: (body: Body, look: Look) => string,
): void {
  const { terminal } = output;
  if (json === true || terminal === undefined) output.out(`${showHidden(JSON.stringify(body, null, 2))}\n`);
  else output.out(`${text(body, lookOf(terminal))}\n`);
}

export function lookOf({ hasColors }: Terminal): Look {
  return {
    paint: (colour, text) =>
      hasColors && colour !== undefined ? styleText(colour, text, { validateStream: false }) : text,
    now: Date.now(),
  };
}

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  /** For numbers. */
  readonly right?: boolean;
  readonly colour?: (row: Row) => Colour | undefined;
}

const GAP = '  ';

/** Columns are as wide as their longest cell, because people copy names out of them. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], look: Look): string {
  const cells = rows.map((row) => columns.map(({ cell }) => printable(cell(row))));
  const widths = columns.map(({ head }, i) =>
    Math.max(head.length, ...cells.map((line) => line[i]?.length ?? 0)),
  );
  const padded = (text: string, i: number): string => {
    const width = widths[i] ?? 0;
    if (columns[i]?.right === true) return text.padStart(width);
    return i === columns.length - 1 ? text : text.padEnd(width);
  };
  const lines = cells.map((line, r) =>
    line.map((cell, i) => look.paint(columns[i]?.colour?.(rows[r] as Row), padded(cell, i))).join(GAP),
  );
  return [look.paint('dim', columns.map(({ head }, i) => padded(head, i)).join(GAP)), ...lines].join('\n');
}

/** Lines of a name and a value. */
export function fields(pairs: readonly (readonly [name: string, value: string])[], look: Look): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs
    .map(([name, value]) => `${look.paint('dim', name.padEnd(width))}${GAP}${printable(value)}`)
    .join('\n');
}

/**
 * Names come from clients. Control characters in them could move the cursor or change what the terminal shows; others
 * change the direction of the text.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

const SECOND = 1_000;

/** A time in the zone of this host, and how long ago it was, such as `08:02:11 (3h 12m ago)`. */
export function since(iso: string, { now }: Look): string {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return iso;
  return `${clock(at, now)} (${at > now ? `in ${span(at - now)}` : `${span(now - at)} ago`})`;
}

/** The last request of an agent, which is known to within some minutes in either direction. */
export function lastRequest(iso: string, withinSeconds: number, { now }: Look): string {
  const [ago, within] = [Math.max(0, now - Date.parse(iso)), withinSeconds * SECOND];
  return ago <= within
    ? `in the last ${span(ago + within)}`
    : `${span(ago - within)} to ${span(ago + within)} ago`;
}

/** The date is left out if it is that of today. */
export function clock(at: number, now: number): string {
  const [date, time] = [localDate(at), new Date(at).toLocaleTimeString('sv-SE')];
  return date === localDate(now) ? time : `${date} ${time}`;
}

/** The head of a column of times: they are in the zone of this host. */
export function timeHead({ now }: Look): string {
  const minutes = -new Date(now).getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const digits = [hours, rest].map((part) => String(part).padStart(2, '0')).join(':');
  return `TIME (${minutes < 0 ? '-' : '+'}${digits})`;
}

function localDate(at: number): string {
  return new Date(at).toLocaleDateString('sv-SE');
}

/** `1 agent`, `7 agents`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Such as `8 ms`, `1.25 s`. */
export function milliseconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

export const NONE = '–';
