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

/** The title that every process of a gateway begins with; `ps` shows it. */
export const TITLE = 'ici-gateway';

// A number, and the white space of whoever wrote it.
const MOST_BYTES = 64;

/**
 * Reads the number in a pid file; undefined where there is no file, or no number in it. Throws an Error that says
 * what to do where it cannot be read, or is no such file.
 */
export function readPidFile(file: string): number | undefined {
  const content = contentOf(file);
  const [, digits] = /^\s*([1-9][0-9]{0,9})\s*$/.exec(content ?? '') ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function contentOf(file: string): string | undefined {
  let open: number;
  try {
    // A pipe that nobody writes to would be waited for.
    open = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new Error(`the pid file ${file} cannot be read (${message}): give another --pid-file`, { cause });
  }
  try {
    if (!fstatSync(open).isFile())
      throw new Error(`${file} is no file that could hold a number: give another --pid-file`);
    const bytes = Buffer.alloc(MOST_BYTES + 1);
    const length = readSync(open, bytes);
    if (length > MOST_BYTES)
      throw new Error(`${file} holds more than the number of a process: give another --pid-file`);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(open);
  }
}

/** A gateway runs under that number, or, where the system does not tell, any process. */
export function isGateway(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // It lives, and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(TITLE);
  } catch {
    return true;
  }
}

/**
 * Writes this process's number into the file, over that of a gateway that has
 * died. Throws when the one that is named there lives, and when the file cannot
 * be written. `process.title` must begin with {@link TITLE} by then.
 *
 * @returns removes the file, unless somebody has overwritten it
 */
export function holdPidFile(file: string): () => void {
  const before = readPidFile(file);
  if (before !== undefined && before !== process.pid && isGateway(before)) {
    throw new Error(
      `a gateway runs already as process ${before}: stop it, or give another --pid-file than ${file}`,
    );
  }
  write(file, `${process.pid}\n`);
  return () => {
    if (readPidFile(file) === process.pid) rmSync(file, { force: true });
  };
}

/** Renamed into place, so that nobody reads half a number, and a full disk leaves nothing behind. */
function write(file: string, content: string): void {
  const beside = `${file}.${process.pid}`;
  try {
    rmSync(beside, { force: true });
    writeFileSync(beside, content, { flag: 'wx' });
    renameSync(beside, file);
  } catch (cause) {
    rmSync(beside, { force: true });
    throw new Error(
      `the pid file ${file} cannot be written (${(cause as Error).message}): see that its folder is there, has room and may be written to, or give another --pid-file`,
      { cause },
    );
  }
}
