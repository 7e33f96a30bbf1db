import { readFileSync, rmSync, writeFileSync } from 'node:fs';

/** The title that every process of a gateway begins with; `ps` shows it. */
export const TITLE = 'ici-gateway';

/** Reads the number in a pid file; undefined where there is no file, or no number in it. */
export function readPidFile(file: string): number | undefined {
  try {
    const [, digits] = /^\s*([1-9][0-9]{0,9})\s*$/.exec(readFileSync(file, 'utf8')) ?? [];
    return digits === undefined ? undefined : Number(digits);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
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
 * died. Throws when the one that is named there lives. `process.title` must
 * begin with {@link TITLE} by then.
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
  writeFileSync(file, `${process.pid}\n`);
  return () => {
    if (readPidFile(file) === process.pid) rmSync(file, { force: true });
  };
}
