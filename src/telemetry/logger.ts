import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { Logger, LoggerOptions } from 'pino';
import { pino } from 'pino';
import { showHidden } from '../core/hidden-characters.ts';
import { LogOutput } from './log-output.ts';
import { RatedLines } from './rated-lines.ts';
import { withSourceLines } from './source-lines.ts';
import { terminalLine } from './terminal-log.ts';

export type { Logger };

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;
// The limit for unwritten notices, of which a gateway writes only a few lines.
const MAX_NOTICES_BYTES = 64 * 1_024;

const WARN = pino.levels.values['warn'] as number;

const CHECK_MS = 100;
const FLUSH_LIMIT_MS = 500;
// Count failed checks, not time: a pause of this process does not mean that the reader is gone.
const FLUSH_CHECKS = FLUSH_LIMIT_MS / CHECK_MS;

// From least to most detail. `logging.level` names one of them.
const BY_DETAIL = ['silent', 'error', 'warn', 'info', 'debug', 'trace'];

/** The level with more (1) or less (-1) detail than this one; the same level at either end of the scale. */
export function nextLevel(level: string, step: 1 | -1): string {
  return BY_DETAIL[BY_DETAIL.indexOf(level) + step] ?? level;
}

export interface ProcessLog {
  readonly logger: Logger;
  /**
   * Writes out pending lines. Resolves with false if no process reads them and a thread of this process hangs in a
   * write: a normal exit would wait for it without end.
   */
  close(): Promise<boolean>;
}

/**
 * Writes JSON lines, or on a terminal lines for people, to standard output. Also logs an uncaught error, which ends the
 * process. If lines cannot be written, the process continues without them.
 *
 * @param child the id of this process, if the gateway has several
 */
export function openProcessLog(level: string, child?: string): ProcessLog {
  const destination = new LogOutput(STANDARD_OUTPUT);
  const rated = new RatedLines();
  const options = loggerOptions(level, child, rated);
  const toText = isatty(STANDARD_OUTPUT) ? terminalLine : undefined;
  const output =
    toText === undefined ? destination : { write: (line: string) => destination.write(toText(line)) };
  const logger = pino(options, output);

  const crashLogger = pino(options, {
    write: (line) => void writeSync(STANDARD_OUTPUT, toText?.(line) ?? line),
  });
  process.on('uncaughtExceptionMonitor', (error) => {
    // A listener handles the error, so the process continues.
    if (process.listenerCount('uncaughtException') > 0) return;
    // Without a reader, a last write (even Node's own) would block without end.
    if (destination.isStuck) exitNow();
    if (!logger.isLevelEnabled('error')) return;
    try {
      // Node prints it too.
      if (error.stack !== undefined) error.stack = withSourceLines(error.stack);
      crashLogger.error({ err: error }, 'crashed: uncaught error, which is a bug in the gateway');
      // That write succeeded, so a reader exists; write the pending lines too.
      destination.flushSync();
    } catch {
      // Node prints the error on standard error.
    }
  });

  return {
    logger,
    close: () => {
      rated.flush();
      return destination.close();
    },
  };
}

/**
 * @param child the id of this process, if the gateway has several
 * @param rated limits how often warnings are repeated
 */
export function loggerOptions(level: string, child?: string, rated = new RatedLines()): LoggerOptions {
  return {
    level,
    base: { pid: process.pid, ...(child === undefined ? {} : { child }) },
    hooks: {
      logMethod(args, method, levelOfLine) {
        if (levelOfLine < WARN) method.apply(this, args);
        else rated.write(this, args, method);
      },
      // Names and paths come from clients.
      streamWrite: showHidden,
    },
  };
}

/** Messages for the user at the terminal. */
export interface Notices {
  write(text: string): void;
  /** See {@link ProcessLog.close}. */
  close(): Promise<boolean>;
}

/**
 * Writes lines to standard error without waiting for a reader. `process.stderr` blocks on a full pipe, and a
 * blocked supervisor relays no messages between its children.
 */
export function openNotices(): Notices {
  const destination = pino.destination({
    dest: STANDARD_ERROR,
    sync: false,
    // With 0, `flush` would not wait for a write in progress.
    minLength: 1,
    maxLength: MAX_NOTICES_BYTES,
  });
  destination.on('error', () => undefined);
  destination.flushSync = () => undefined;
  return { write: (text) => void destination.write(text), close: () => flushAll(destination) };
}

type Destination = ReturnType<typeof pino.destination>;

function flushAll(destination: Destination): Promise<boolean> {
  return new Promise((resolve) => {
    let checksLeft = FLUSH_CHECKS;
    const timer = setInterval(() => {
      checksLeft -= 1;
      if (checksLeft === 0) end(false);
    }, CHECK_MS);
    const end = (isWritten: boolean): void => {
      clearInterval(timer);
      resolve(isWritten);
    };
    // Flush twice: the first callback comes when the current write is done, with less than a block still unwritten.
    destination.flush(() => destination.flush(() => end(true)));
  });
}

/** Unlike `process.exit`, does not wait for threads: one may hang in a write whose reader is gone. */
export function exitNow(): void {
  process.kill(process.pid, 'SIGKILL');
}
