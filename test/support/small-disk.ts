import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A separate file system for one test, small enough to fill. */
export interface SmallDisk {
  readonly path: string;
  /** Fills the disk, except for the given number of bytes. */
  fill(exceptBytes?: number): void;
  makeRoom(): void;
  setWritable(isWritable: boolean): Promise<void>;
  /** Removes the file system with all its files. */
  close(): Promise<void>;
}

/**
 * A tmpfs in its own mount namespace, which needs no root if the kernel lets users
 * create namespaces. Other processes reach it through `/proc`, so nothing is
 * mounted on the machine.
 *
 * @returns the disk, or the reason if there is none
 */
export async function makeSmallDisk(bytes: number): Promise<SmallDisk | string> {
  const shell = spawn('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-s'], { stdio: 'pipe' });
  const exited = once(shell, 'exit');
  let words = '';
  shell.stderr.on('data', (chunk) => {
    words += String(chunk);
  });
  const lines: string[] = [];
  let heard: () => void = () => {};
  createInterface(shell.stdout).on('line', (line) => {
    lines.push(line);
    heard();
  });
  let failure: Error | undefined;
  shell.once('error', (error) => {
    failure = error;
    heard();
  });
  shell.stdin.on('error', () => {
    // The process has ended; the code below notices that.
  });
  shell.once('exit', () => heard());
  const run = async (command: string): Promise<string | undefined> => {
    lines.length = 0;
    shell.stdin.write(`${command} && echo done || echo failed\n`);
    while (lines.length === 0 && failure === undefined && shell.exitCode === null) {
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
    }
    if (lines[0] === 'done') return undefined;
    return failure?.message ?? (words.trim() || `unshare ended with ${shell.exitCode}`);
  };
  const close = async (): Promise<void> => {
    if (failure !== undefined) return;
    shell.stdin.end();
    await exited;
  };
  const problem = await run(`mount -t tmpfs -o size=${bytes},mode=777 small /mnt`);
  if (problem !== undefined) {
    await close();
    return `this test needs a small file system, and none can be mounted in a namespace (${problem}): run it as root, or allow user namespaces`;
  }
  const path = `/proc/${shell.pid}/root/mnt`;
  const ballast = join(path, 'ballast');
  return {
    path,
    fill: (exceptBytes = 0) => {
      fillUp(join(path, 'spare'), exceptBytes);
      fillUp(ballast);
      rmSync(join(path, 'spare'), { force: true });
    },
    makeRoom: () => rmSync(ballast, { force: true }),
    setWritable: async (isWritable) => {
      const failed = await run(`mount -o remount,${isWritable ? 'rw' : 'ro'} /mnt`);
      if (failed !== undefined) throw new Error(failed);
    },
    close,
  };
}

function fillUp(file: string, bytes = Number.POSITIVE_INFINITY): void {
  const page = Buffer.alloc(4_096, 'x');
  const descriptor = openSync(file, 'a');
  try {
    for (let written = 0; written < bytes; ) written += writeSync(descriptor, page);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(descriptor);
  }
}
