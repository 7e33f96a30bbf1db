import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** The layout of LMDB's data file, as far as it has to be known before LMDB looks at it. */

// Layout of a meta page of lmdb 3.5 (LMDB 1.0 format): there are two, one at the start of the file, one a page on.
const MAGIC = 0xbeefc0de;
const META_BYTES = 160;
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
// The last pages of a transaction may have been given back before they were written.
const PAGES_NEVER_WRITTEN = 64n;

/** What is wrong with the file; LMDB itself would crash the process on most of it. */
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
    // From the last page in the one to the last page in the other.
    this.#metas = Buffer.alloc(this.#pageSize + 8);
  }

  /** Of all pages up to the last one, also of those that are free. */
  read(): number {
    const metas = this.#metas;
    readSync(this.#file, metas, 0, metas.length, LAST_PAGE_AT);
    const last = Math.max(metas.readUIntLE(0, 6), metas.readUIntLE(this.#pageSize, 6));
    return (last + 1) * this.#pageSize;
  }
}
