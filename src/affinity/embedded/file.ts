import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Reads the parts of LMDB's data file that must be checked before LMDB opens it. */

// Meta page of lmdb 3.5 (LMDB 1.0 format). There are two: at the start of the file, and one page further.
const MAGIC = 0xbeefc0de;
const META_BYTES = 160;
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
export const TRANSACTION_AT = 152;
// LMDB does not write pages that a transaction freed again, so the file may be that much shorter.
const PAGES_NEVER_WRITTEN = 64n;

/** Says what is wrong with the file. LMDB itself would crash the process on most such damage. */
export function damageOf(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) return 'it is not a file';
    if (stat.size === 0) return undefined;
    const first = readMeta(file, 0);
    const pageSize = first?.readUInt32LE(PAGE_SIZE_AT) ?? 0;
    const second = first && readMeta(file, pageSize);
    if (first === undefined || second === undefined) return 'its header is damaged';
    const newest =
      first.readBigUInt64LE(TRANSACTION_AT) > second.readBigUInt64LE(TRANSACTION_AT) ? first : second;
    const pages = newest.readBigUInt64LE(LAST_PAGE_AT) + 1n - PAGES_NEVER_WRITTEN;
    return BigInt(stat.size) < pages * BigInt(pageSize) ? 'it is cut short' : undefined;
  } finally {
    closeSync(file);
  }
}

function readMeta(file: number, position: number): Buffer | undefined {
  const meta = Buffer.alloc(META_BYTES);
  if (readSync(file, meta, 0, META_BYTES, position) < META_BYTES) return undefined;
  return meta.readUInt32LE(MAGIC_AT) === MAGIC ? meta : undefined;
}

/** Reads how many bytes LMDB uses, at a fraction of the cost of its own statistics. */
export class UsedBytes {
  readonly #file: number;
  readonly #pageSize: number;
  readonly #metas: Buffer;

  /** @param file open, and not damaged */
  constructor(file: number) {
    this.#file = file;
    this.#pageSize = readMeta(file, 0)?.readUInt32LE(PAGE_SIZE_AT) ?? 0;
    // From the page number in one meta page to that in the other.
    this.#metas = Buffer.alloc(this.#pageSize + 8);
  }

  /** Counts all pages up to the last one in use, free pages included. */
  read(): number {
    const metas = this.#metas;
    readSync(this.#file, metas, 0, metas.length, LAST_PAGE_AT);
    const last = Math.max(metas.readUIntLE(0, 6), metas.readUIntLE(this.#pageSize, 6));
    return (last + 1) * this.#pageSize;
  }
}
