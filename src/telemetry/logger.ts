import type { Logger } from 'pino';
import { pino } from 'pino';

export type { Logger };

// Written in blocks: a line per request would else be a system call per request.
const BLOCK_BYTES = 4_096;
const FLUSH_MS = 100;
// What may pile up while nobody reads standard output; beyond it lines are dropped, not memory taken.
const MAX_PENDING_BYTES = 16 * 1_024 * 1_024;

const LAST_WORDS_MS = 500;

export interface ProcessLog {
  readonly logger: Logger;
  /**
   * Writes out what is pending. Resolves with false where nobody has read it for
   * {@link LAST_WORDS_MS}: then a thread of this process hangs in a write, and an
   * ordinary exit would wait for it without end.
   */
  close(): Promise<boolean>;
}

/** JSON lines on standard output, at most {@link FLUSH_MS} late. */
export function openProcessLog(level: string): ProcessLog {
  const destination = pino.destination({
    dest: 1,
    sync: false,
    minLength: BLOCK_BYTES,
    maxLength: MAX_PENDING_BYTES,
  });
  const logger = pino({ level, base: { pid: process.pid } }, destination);
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
