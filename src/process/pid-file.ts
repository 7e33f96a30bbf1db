import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { isAlive } from '../core/process-alive.ts';

/** The title that every process of a gateway begins with; `ps` shows it. */
export const TITLE = 'ici-gateway';

// A number and surrounding white space.
const MAX_BYTES = 64;

/**
 * Reads the number in a pid file; undefined if the file does not exist or holds no number. Throws an Error with a
 * remedy if the file cannot be read or cannot be a pid file.
 */
export function readPidFile(file: string): number | undefined {
  const content = contentOf(file);
  const [, digits] = /^\s*([1-9][0-9]{0,9})\s*$/.exec(content ?? '') ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function contentOf(file: string): string | undefined {
  let open: number;
  try {
    // Opening a pipe without a writer would block.
    open = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new Error(`the pid file ${file} cannot be read (${message}): give another --pid-file`, { cause });
  }
  try {
    if (!fstatSync(open).isFile()) throw new Error(`${file} is not a regular file: give another --pid-file`);
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    const length = readSync(open, bytes);
    if (length > MAX_BYTES)
      throw new Error(`${file} holds more than a process number: give another --pid-file`);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(open);
  }
}

/** Whether a gateway runs under that number. Where the system has no /proc, any process counts. */
export function isGateway(pid: number): boolean {
  if (!isAlive(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(TITLE);
  } catch {
    return true;
  }
}

/**
 * Writes this process's number into the file and replaces the number of a gateway
 * that has ended. Throws if the gateway named there is alive, or if the file cannot be
 * written. `process.title` must already begin with {@link TITLE}.
 *
 * @returns a function that removes the file, unless another process has overwritten it
 */
export function claimPidFile(file: string): () => void {
  const before = readPidFile(file);
  if (before !== undefined && before !== process.pid && isGateway(before)) {
    throw new Error(
      `a gateway already runs as process ${before}: stop it, or give another --pid-file than ${file}`,
    );
  }
  write(file, `${process.pid}\n`);
  return () => {
    if (readPidFile(file) === process.pid) rmSync(file, { force: true });
  };
}

/** Writes a temporary file and renames it, so that a reader never sees half a number and a full disk leaves no remains. */
function write(file: string, content: string): void {
  const temporary = `${file}.${process.pid}`;
  try {
    rmSync(temporary, { force: true });
    writeFileSync(temporary, content, { flag: 'wx' });
    renameSync(temporary, file);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new Error(
      `the pid file ${file} cannot be written (${(cause as Error).message}): check that its directory exists, is writable and has free space, or give another --pid-file`,
      { cause },
    );
  }
}
