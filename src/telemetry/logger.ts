import type { Logger } from 'pino';
import { pino } from 'pino';

export type { Logger };

// Written in blocks: a line per request would else be a system call per request.
const BLOCK_BYTES = 2_048;
// PIPE_BUF of Linux: several processes write to one pipe, and longer blocks would be torn apart by each other.
const MAX_WRITE_BYTES = 4_096;
const FLUSH_MS = 100;
// What may pile up while nobody reads standard output; beyond it lines are dropped, not memory taken.
const MAX_PENDING_BYTES = 16 * 1_024 * 1_024;

const LAST_WORDS_MS = 500;

// From the one that says least. `logging.level` names one of them.
const BY_DETAIL = ['silent', 'error', 'warn', 'info', 'debug', 'trace'];

/** The level that says more (1) or less (-1) than this one; at the end of the scale the same. */
export function nextLevel(level: string, step: 1 | -1): string {
  return BY_DETAIL[BY_DETAIL.indexOf(level) + step] ?? level;
}

export interface ProcessLog {
  readonly logger: Logger;
  /**
   * Writes out what is pending. Resolves with false where nobody has read it for
   * {@link LAST_WORDS_MS}: then a thread of this process hangs in a write, and an
   * ordinary exit would wait for it without end.
   */
  close(): Promise<boolean>;
}

/**
 * JSON lines on standard output, at most {@link FLUSH_MS} late.
 *
 * @param child which process of the gateway it is, where there are several
 */
export function openProcessLog(level: string, child?: string): ProcessLog {
  const destination = pino.destination({
    dest: 1,
    sync: false,
    minLength: BLOCK_BYTES,
    maxWrite: MAX_WRITE_BYTES,
    maxLength: MAX_PENDING_BYTES,
  });
  const logger = pino(
    { level, base: { pid: process.pid, ...(child === undefined ? {} : { child }) } },
    destination,
  );
  const timer = setInterval(() => destination.flush(), FLUSH_MS);
  timer.unref();
  return {
    logger,
    close: () => {
      clearInterval(timer);
      return new Promise((resolve) => {
        const givenUp = setTimeout(() => resolve(false), LAST_WORDS_MS);
        destination.flush(() => {
          clearTimeout(givenUp);
          resolve(true);
        });
      });
    },
  };
}
