import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { UsedBytes } from './file.ts';

/**
 * Room on the disk, taken before LMDB needs it.
 *
 * LMDB must never meet a write error: lmdb 3.5 prints each one to stderr from
 * native code and formats it into a buffer that is too short, which damages the
 * heap of this process. Bytes of a file that are on the disk already can be
 * written when the disk is full, so the file is kept longer than LMDB needs it,
 * and each transaction is preceded by a write of our own, whose error can be
 * caught.
 */

/** More than one transaction can add; the steps of affinity/embedded/pool.ts are bounded for that. */
export const STEP_BYTES = 64 * 4_096;
// Beyond that, so that not every transaction makes the file longer.
const AHEAD_BYTES = 512 * 1_024;
const AHEAD_SHARE = 1 / 16;
// What goes ahead leaves that much to others, such as the file of the agreement.
const LEFT_BYTES = 128 * 1_024;
const CHUNK_BYTES = 64 * 1_024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
// Of LMDB's lock file, which it maps into memory: a page that the disk has no room for would kill the process.
const LOCK_BYTES = 16_384;
// Btrfs, ZFS, bcachefs: they write to a new place what is there already, so room ahead of the file is none.
const COPY_ON_WRITE: ReadonlySet<number> = new Set([0x9123683e, 0x2fc12fc1, 0xca451a4e]);

export class EmbeddedRoom {
  readonly #path: string;
  readonly #file: number;
  readonly #used: UsedBytes;
  readonly #mostBytes: number;
  readonly #isCopyOnWrite: boolean;
  /** All below are on the disk. */
  #bytes: number;

  /**
   * @param path of a data file that LMDB has made
   * @param mostBytes that LMDB can use
   * @throws Error of the system where there is no room
   */
  constructor(path: string, mostBytes: number) {
    this.#path = path;
    this.#mostBytes = mostBytes;
    this.#isCopyOnWrite = COPY_ON_WRITE.has(statfsSync(path).type);
    this.#file = openSync(path, 'r+');
    try {
      this.#bytes = fillHoles(this.#file);
      this.#used = new UsedBytes(this.#file);
      this.ensure();
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /**
   * To be called before each transaction.
   *
   * @throws Error of the system where the disk cannot take what the transaction may write
   */
  ensure(): void {
    const needed = Math.min(this.#used.read() + STEP_BYTES, this.#mostBytes);
    if (needed > this.#bytes) this.#extend(needed);
    // Tells of a file system that has become read-only, or fails. LMDB has not come to that byte.
    else writeSync(this.#file, ZEROS, 0, 1, this.#bytes - 1);
    if (this.#isCopyOnWrite) requireFree(this.#path, STEP_BYTES);
  }

  close(): void {
    closeSync(this.#file);
  }

  #extend(needed: number): void {
    const ahead = needed + Math.max(AHEAD_BYTES, needed * AHEAD_SHARE);
    const wanted = Math.min(ahead, this.#mostBytes, this.#bytes + freeBytes(this.#path) - LEFT_BYTES);
    try {
      while (this.#bytes < Math.max(wanted, needed)) {
        this.#bytes += writeSync(this.#file, ZEROS, 0, CHUNK_BYTES, this.#bytes);
      }
    } catch (error) {
      if (this.#bytes < needed) throw error;
    }
  }
}

/**
 * Makes sure that there is room for a data file and a lock file before LMDB makes them.
 *
 * @throws Error of the system
 */
export function reserve(dataFile: string, lockFile: string): void {
  if (!existsSync(dataFile)) {
    const trial = `${dataFile}.new`;
    try {
      writeZeros(trial, STEP_BYTES);
    } finally {
      rmSync(trial, { force: true });
    }
  }
  // What was in it was of processes that have ended.
  writeZeros(lockFile, LOCK_BYTES);
}

function writeZeros(path: string, bytes: number): void {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o664);
  try {
    for (let at = 0; at < bytes; ) at += writeSync(file, ZEROS, 0, Math.min(CHUNK_BYTES, bytes - at), at);
  } finally {
    closeSync(file);
  }
}

/** LMDB leaves out pages that it gave back before it wrote them. Returns the length of the file. */
function fillHoles(file: number): number {
  const { size, blocks } = fstatSync(file);
  if (blocks * 512 >= size) return size;
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const length = readSync(file, chunk, 0, CHUNK_BYTES, at);
    if (length > 0 && chunk.compare(ZEROS, 0, length, 0, length) === 0) writeSync(file, ZEROS, 0, length, at);
  }
  return size;
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

function requireFree(path: string, bytes: number): void {
  if (freeBytes(path) >= bytes) return;
  throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
}
