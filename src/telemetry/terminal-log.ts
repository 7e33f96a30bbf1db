import { showHidden } from '../core/hidden-characters.ts';

// The names of pino's levels.
const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
};
// `pid` says nothing that `child` does not.
const OMITTED = new Set(['level', 'time', 'pid', 'child', 'msg', 'err', 'v']);
const LEVEL_WIDTH = 5;

/**
 * A JSON line of the log as a line for people: the time of day, the level, the process, the message, and the other
 * fields as `name=value`. The stack of an error follows.
 *
 * Written here, because pino-pretty would bring 13 packages into every process for the lines of a gateway that is
 * tried out by hand.
 */
export function terminalLine(json: string): string {
  const fields = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const { level, time, child, msg, err } = fields;
  const others = Object.entries(fields)
    .filter(([name]) => !OMITTED.has(name))
    .map(([name, value]) => `${name}=${valueText(value)}`);
  const words = [
    timeOfDay(new Date(Number(time))),
    (LEVELS[Number(level)] ?? String(level)).padEnd(LEVEL_WIDTH),
    ...(child === undefined ? [] : [`[${String(child)}]`]),
    ...(msg === undefined ? [] : [printable(String(msg))]),
    ...others,
  ];
  return [words.join(' '), ...errorLines(err)].map((line) => `${line}\n`).join('');
}

function timeOfDay(time: Date): string {
  const part = (value: number, digits = 2): string => String(value).padStart(digits, '0');
  const seconds = `${part(time.getSeconds())}.${part(time.getMilliseconds(), 3)}`;
  return `${part(time.getHours())}:${part(time.getMinutes())}:${seconds}`;
}

/** Words stand as they are; what has spaces or quotes, or is a structure, stands as JSON. */
function valueText(value: unknown): string {
  const text = typeof value === 'string' && /^[^\s"'\\]+$/.test(value) ? value : JSON.stringify(value);
  return printable(text);
}

function errorLines(error: unknown): string[] {
  if (typeof error !== 'object' || error === null) return [];
  const { stack, message } = error as { readonly stack?: unknown; readonly message?: unknown };
  return String(stack ?? message ?? JSON.stringify(error))
    .split('\n')
    .map((line) => `    ${printable(line)}`);
}

/** Values come from clients: no character of them may move the cursor or change the direction of the text. */
function printable(text: string): string {
  return showHidden(text.replace(/\p{Cc}/gu, '\uFFFD'));
}
