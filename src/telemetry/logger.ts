import { writeSync } from 'node:fs';
import type { Logger } from 'pino';
import { pino } from 'pino';

export type { Logger };

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;
// Written in blocks: a line per request would else be a system call per request.
const BLOCK_BYTES = 2_048;
// PIPE_BUF of Linux: several processes write to one pipe, and longer blocks would be torn apart by each other.
const MAX_WRITE_BYTES = 4_096;
const FLUSH_MS = 100;
// What may pile up while nobody reads standard output; beyond it lines are dropped, not memory taken.
const MAX_PENDING_BYTES = 16 * 1_024 * 1_024;

// Of what is said to whoever watches: a few lines in a gateway's life.
const MAX_NOTICES_BYTES = 64 * 1_024;

const LAST_WORDS_MS = 500;
// So many looks in vain are what counts, not time: a process that stood still has not been refused by its reader.
const LAST_WORDS_LOOKS = LAST_WORDS_MS / FLUSH_MS;

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
 * JSON lines on standard output, at most {@link FLUSH_MS} late; also of an error that nobody caught, which ends the
 * process. Where they cannot be written the process goes on without.
 *
 * @param child which process of the gateway it is, where there are several
 */
export function openProcessLog(level: string, child?: string): ProcessLog {
  const destination = pino.destination({
    dest: STANDARD_OUTPUT,
    sync: false,
    minLength: BLOCK_BYTES,
    maxWrite: MAX_WRITE_BYTES,
    maxLength: MAX_PENDING_BYTES,
  });
  // A full disk: what is pending is tried again with the next lines. (A broken pipe is not, pino sees to that.)
  let vainFlushes = 0;
  const onHeard = (): void => {
    vainFlushes = 0;
  };
  destination.on('write', onHeard);
  destination.on('error', onHeard);
  const options = { level, base: { pid: process.pid, ...(child === undefined ? {} : { child }) } };
  const logger = pino(options, destination);

  const flushSync = destination.flushSync.bind(destination);
  // It is called when the process ends, and tries a broken pipe again without end (sonic-boom 4.2.1).
  destination.flushSync = () => undefined;
  const dying = pino(options, { write: (line) => void writeSync(STANDARD_OUTPUT, line) });
  process.on('uncaughtExceptionMonitor', (error) => {
    // Something catches it after all: the process goes on.
    if (process.listenerCount('uncaughtException') > 0) return;
    // Nobody reads: last words, be they Node's own, would be waited for without end.
    if (vainFlushes >= LAST_WORDS_LOOKS) exitNow();
    if (!logger.isLevelEnabled('error')) return;
    try {
      dying.error({ err: error }, 'crashed: nobody caught this error, which is a fault of the gateway');
      // That was written, so there is somebody to read what came before it, too.
      flushSync();
    } catch {
      // Node says on standard error what it was.
    }
  });

  const timer = setInterval(() => {
    vainFlushes += 1;
    destination.flush();
  }, FLUSH_MS);
  timer.unref();
  return {
    logger,
    close: () => {
      clearInterval(timer);
      return written(destination);
    },
  };
}

/** What is said in words to whoever watches. */
export interface Notices {
  write(text: string): void;
  /** As {@link ProcessLog.close}. */
  close(): Promise<boolean>;
}

/**
 * Lines on standard error that never wait for their reader, as `process.stderr` does at a pipe that is full: a
 * supervisor that waits passes on no message between its children.
 */
export function openNotices(): Notices {
  const destination = pino.destination({
    dest: STANDARD_ERROR,
    sync: false,
    // With 0 it would not wait for what is under way when it is flushed.
    minLength: 1,
    maxLength: MAX_NOTICES_BYTES,
  });
  destination.on('error', () => undefined);
  destination.flushSync = () => undefined;
  return { write: (text) => void destination.write(text), close: () => written(destination) };
}

type Destination = ReturnType<typeof pino.destination>;

function written(destination: Destination): Promise<boolean> {
  return new Promise((resolve) => {
    let looksLeft = LAST_WORDS_LOOKS;
    const givingUp = setInterval(() => {
      looksLeft -= 1;
      if (looksLeft === 0) end(false);
    }, FLUSH_MS);
    const end = (isWritten: boolean): void => {
      clearInterval(givingUp);
      resolve(isWritten);
    };
    // Twice: it calls back as soon as the write that is under way is done, with less than a block still to be written.
    destination.flush(() => destination.flush(() => end(true)));
  });
}

/** Unlike `process.exit`, does not wait for threads: one may hang in a write whose reader is gone. */
export function exitNow(): void {
  process.kill(process.pid, 'SIGKILL');
}
