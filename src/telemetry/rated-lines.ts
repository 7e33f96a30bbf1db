import type { LogFn, Logger } from 'pino';

/** Writes one line, as pino's own method would. */
type Write = (fields: object, message: string) => void;

/** The lines of one kind since its first one. */
interface Recent {
  readonly since: number;
  written: number;
  leftOut: number;
  /** Writes the number of lines that were left out. */
  tell: () => void;
  timer: NodeJS.Timeout | undefined;
}

const WINDOW_MS = 10_000;
const MOST_IN_WINDOW = 10;
// Messages are constants, and pools and instances are few.
const MOST_KINDS = 1_000;

/** What tells two lines with one message apart: each pool, instance, process and kind of refusal has its own rate. */
const KIND_FIELDS = ['pool', 'instance', 'child', 'security', 'outcome'] as const;
type Fields = Partial<Record<(typeof KIND_FIELDS)[number], unknown>>;

/**
 * Limits how often one warning or error is written, because requests, retries and clients can repeat each of them: in
 * 10 s ten lines of a kind, then one with the number of those that were left out (`leftOut`).
 */
export class RatedLines {
  readonly #recent = new Map<string, Recent>();

  /** Calls `method` now, unless too many lines of this kind were written lately. */
  write(logger: Logger, args: Parameters<LogFn>, method: LogFn): void {
    const [fields, message] = partsOf(args);
    const kind = kindOf(fields, message);
    const recent = this.#recentOf(kind);
    if (recent.written < MOST_IN_WINDOW) {
      recent.written += 1;
      method.apply(logger, args);
      return;
    }
    recent.leftOut += 1;
    if (recent.timer !== undefined) return;
    const write: Write = (more, text) => method.call(logger, more, text);
    recent.tell = () => {
      const { leftOut } = recent;
      if (leftOut > 0) write({ ...namesOf(fields), leftOut, seconds: WINDOW_MS / 1_000 }, message);
      recent.leftOut = 0;
    };
    recent.timer = setTimeout(() => this.#end(kind, recent), recent.since + WINDOW_MS - performance.now());
    recent.timer.unref();
  }

  /** Writes the numbers of lines that were left out so far. */
  flush(): void {
    for (const [kind, recent] of this.#recent) this.#end(kind, recent);
  }

  #recentOf(kind: string): Recent {
    const now = performance.now();
    const known = this.#recent.get(kind);
    if (known !== undefined && now - known.since < WINDOW_MS) return known;
    if (known !== undefined) this.#end(kind, known);
    if (this.#recent.size >= MOST_KINDS) this.flush();
    const recent: Recent = { since: now, written: 0, leftOut: 0, tell: () => undefined, timer: undefined };
    this.#recent.set(kind, recent);
    return recent;
  }

  #end(kind: string, recent: Recent): void {
    clearTimeout(recent.timer);
    if (this.#recent.get(kind) === recent) this.#recent.delete(kind);
    recent.tell();
  }
}

function partsOf(args: Parameters<LogFn>): [fields: Fields, message: string] {
  const [first, second] = args as readonly unknown[];
  return typeof first === 'string' ? [{}, first] : [first as Fields, String(second)];
}

function kindOf(fields: Fields, message: string): string {
  return [message, ...KIND_FIELDS.map((name) => fields[name] ?? '')].join('\n');
}

function namesOf(fields: Fields): Fields {
  return Object.fromEntries(KIND_FIELDS.flatMap((name) => (name in fields ? [[name, fields[name]]] : [])));
}
