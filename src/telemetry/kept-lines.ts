import type { KeptLine } from '../core/incident/state-lines.ts';
import { STATE_LINES } from '../core/incident/state-lines.ts';
import type { Logger } from './logger.ts';

const MOST_LINES = 1_000;
const MOST_LETTERS = 2_000;
// A line that comes again and again must not push out what happened before it. Changes of state come in pairs.
const COMPARED_LINES = 20;
const NEVER_REPEATED = new Set<string>(Object.values(STATE_LINES));
const LEVELS = ['info', 'warn', 'error'] as const;

/** The last lines of this process's log, for an operator who has no access to the log itself. At most about 2 MB. */
export class KeptLines {
  #lines: KeptLine[] = [];

  /** The oldest first. */
  get lines(): readonly KeptLine[] {
    return this.#lines.slice(-MOST_LINES);
  }

  /** The same log, whose lines from level `info` on are kept too. */
  keeping(logger: Logger): Logger {
    const keeping = Object.create(logger) as Logger;
    for (const level of LEVELS) {
      keeping[level] = (first: unknown, ...rest: unknown[]) => {
        const [fields, msg] = typeof first === 'string' ? [{}, first] : [first, rest[0]];
        if (logger.isLevelEnabled(level)) this.add(level, fields as object, String(msg), Date.now());
        (logger[level] as (...args: unknown[]) => void)(first, ...rest);
      };
    }
    return keeping;
  }

  /** @param at milliseconds since the Unix epoch */
  add(level: KeptLine['level'], fields: object, msg: string, at: number): void {
    const line: KeptLine = { at, level, msg, fields: plain(fields) };
    const text = JSON.stringify(line.fields);
    const compared = NEVER_REPEATED.has(msg) ? [] : this.#lines.slice(-COMPARED_LINES);
    const same = compared.findLast((one) => one.msg === msg && JSON.stringify(one.fields) === text);
    if (same !== undefined) this.#lines.splice(this.#lines.lastIndexOf(same), 1);
    this.#lines.push(same === undefined ? line : { ...same, times: (same.times ?? 1) + 1, lastAt: at });
    if (this.#lines.length > 2 * MOST_LINES) this.#lines = this.#lines.slice(-MOST_LINES);
  }
}

/** The fields as JSON would hold them, so that a line keeps nothing alive. */
function plain(fields: object): KeptLine['fields'] {
  try {
    const text = JSON.stringify(fields, (_, value: unknown) =>
      value instanceof Error ? messageOf(value) : value,
    );
    return text.length > MOST_LETTERS ? { text: text.slice(0, MOST_LETTERS) } : JSON.parse(text);
  } catch {
    return {};
  }
}

function messageOf(error: Error & { readonly code?: unknown }): string {
  return error.code === undefined ? error.message : `${String(error.code)}: ${error.message}`;
}
