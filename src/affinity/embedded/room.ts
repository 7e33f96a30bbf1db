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
 * Reserves disk space before LMDB needs it.
 *
 * LMDB must never get a write error. lmdb 3.5 prints each one from native code and formats it into a buffer that is too
 * short, which corrupts the heap of this process.
 *
 * Blocks that a file already has can be written even when the disk is full. So the file is kept longer than LMDB needs,
 * and a write of our own, whose error can be caught, comes before each transaction.
 */

/** More than one transaction can add: affinity/embedded/pool.ts limits its steps to stay below. */
export const STEP_BYTES = 64 * 4_096;
// Reserved beyond that, so that not every transaction extends the file.
const AHEAD_BYTES = 512 * 1_024;
const AHEAD_SHARE = 1 / 16;
// The reserve ahead leaves this much of the disk to other files, such as the one of the view store.
const LEFT_BYTES = 128 * 1_024;
const CHUNK_BYTES = 64 * 1_024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);
// LMDB maps its lock file into memory: a page without a block on the disk would kill the process.
const LOCK_BYTES = 16_384;
// Btrfs, ZFS, bcachefs write existing bytes to new blocks, so reserving space ahead does not help there.
const COPY_ON_WRITE: ReadonlySet<number> = new Set([0x9123683e, 0x2fc12fc1, 0xca451a4e]);

export class EmbeddedRoom {
  readonly #path: string;
  readonly #file: number;
  readonly #used: UsedBytes;
  readonly #mostBytes: number;
  readonly #isCopyOnWrite: boolean;
  /** All bytes of the file below this offset have blocks on the disk. */
  #bytes: number;

  /**
   * @param path of a data file that LMDB has created
   * @param mostBytes the size up to which LMDB can grow the file
   * @throws the system's error if there is no space
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
   * @param steps how many the transaction carries out. Several must not take the last space of the disk, because each
   *   can be carried out by itself
   * @throws the system's error if the disk cannot take what the transaction may write
   */
  ensure(steps = 1): void {
    const needed = Math.min(this.#used.read() + steps * STEP_BYTES, this.#mostBytes);
    if (steps > 1 && needed > this.#bytes) requireFree(this.#path, needed - this.#bytes + LEFT_BYTES);
    if (needed > this.#bytes) this.#extend(needed);
    // Detects a file system that fails or has become read-only. LMDB does not use that byte yet.
    else writeSync(this.#file, ZEROS, 0, 1, this.#bytes - 1);
    if (this.#isCopyOnWrite) requireFree(this.#path, steps * STEP_BYTES);
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
 * Makes sure that there is space for a data file and a lock file before LMDB creates them.
 *
 * @throws the system's error if there is none
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
  // Its old content belonged to processes that have exited.
  writeZeros(lockFile, LOCK_BYTES);
}

function writeZeros(path: string, bytes: number): void {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    for (let at = 0; at < bytes; ) at += writeSync(file, ZEROS, 0, Math.min(CHUNK_BYTES, bytes - at), at);
  } finally {
    closeSync(file);
  }
}

/** Gives blocks to the holes that LMDB leaves for pages it freed before writing them. Returns the file's length. */
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
