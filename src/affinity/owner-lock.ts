import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from '../core/process-alive.ts';

/** A directory that only one process uses. */
export interface OwnerLock {
  release(): void;
}

const LOCK_FILE = 'owner';

/**
 * Locks the directory for this process, and takes over the lock of a process that has exited.
 *
 * A process of another host, or of a container with its own process ids, looks like one that has exited. Such
 * processes must not share the directory.
 *
 * @param inUse the error if another process holds the lock, which is named
 */
export function lockDirectory(directory: string, inUse: (by: string) => Error): OwnerLock {
  const path = join(directory, LOCK_FILE);
  const mine = describe(process.pid) ?? String(process.pid);
  const draft = `${path}.${process.pid}`;
  removeDrafts(directory);
  try {
    writeFileSync(draft, mine, { mode: 0o600 });
    // Several rounds, because another process may take or release the lock between any two of these steps.
    for (let round = 0; round < 5; round += 1) {
      if (tryLink(draft, path)) return { release: () => releaseOwn(path, mine) };
      const owner = read(path);
      if (owner === undefined) continue;
      if (describe(Number.parseInt(owner, 10)) === owner) throw inUse(owned(owner));
      removeStale(path, owner);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  throw inUse(owned(read(path)));
}

/** Removes drafts of processes that were killed while they took the lock. */
function removeDrafts(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = /^owner\.(\d+)(?:\.stale)?$/.exec(name)?.[1];
    if (pid !== undefined && describe(Number(pid)) === undefined)
      rmSync(join(directory, name), { force: true });
  }
}

function owned(owner: string | undefined): string {
  return owner === undefined ? 'another process' : `process ${Number.parseInt(owner, 10)}`;
}

/** A link makes the lock file appear complete or not at all, unlike a file that is created and then written. */
function tryLink(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Only one of several processes can rename the file away. If that file is a newer lock, it is put back. */
function removeStale(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (read(aside) !== stale) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function releaseOwn(path: string, mine: string): void {
  if (read(path) === mine) rmSync(path, { force: true });
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * `<pid> <start time>`, or `undefined` if there is no such process. The start time distinguishes a process from a later
 * one with the same id: in a container, the process after a crash often has the id of the one before.
 */
function describe(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): the 22nd field; the second is in parentheses and may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has exited too.
    return fields[0] === 'Z' ? undefined : `${pid} ${fields[19]}`;
  } catch {
    return isAlive(pid) ? `${pid}` : undefined;
  }
}
