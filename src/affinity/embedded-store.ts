import { closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { RootDatabase } from 'lmdb';
import { open } from 'lmdb';
import type { AffinityStore } from '../core/ports.ts';
import type { EmbeddedPoolOptions } from './embedded-pool.ts';
import { EmbeddedPool } from './embedded-pool.ts';
import { lockDirectory } from './owner-lock.ts';

export interface EmbeddedOptions {
  /** Made if it is missing. One process uses it at a time. */
  readonly directory: string;
  /** Milliseconds of the epoch; the process's wall clock by default. */
  readonly clock?: () => number;
}

/** The store of a host that is the only one, in a directory of its own. */
export interface Embedded {
  /** To be asked for once for each pool. */
  store(pool: string, options: EmbeddedPoolOptions): AffinityStore;
  close(): Promise<void>;
}

const DATA_FILE = 'data.mdb';
// Address space, not memory: growing the map later would count the same pages twice.
const MAP_BYTES = 1024 ** 3;
// Six tables a pool.
const MOST_TABLES = 768;

/**
 * Opens the store, or throws with what the operator can do about it.
 *
 * Transactions are written to the operating system and not forced to the disk:
 * they survive the end of this process, however it ends. When the whole host
 * dies, the last ones may be lost and the file may be damaged, in which case
 * opening it says so. Waiting for the disk would cost every claim milliseconds,
 * to save bindings to connectors that went down with the host.
 */
export function openEmbedded({ directory, clock = Date.now }: EmbeddedOptions): Embedded {
  makeDirectory(directory);
  const lock = lockDirectory(directory);
  let environment: RootDatabase;
  try {
    environment = openEnvironment(directory);
  } catch (error) {
    lock.release();
    throw error;
  }
  const stores: AffinityStore[] = [];
  return {
    store(pool, options) {
      const store = new EmbeddedPool(environment, pool, options, clock);
      stores.push(store);
      return store;
    },
    async close() {
      for (const store of stores) await store.close();
      await environment.close();
      lock.release();
    },
  };
}

function openEnvironment(directory: string): RootDatabase {
  const damage = damageOf(join(directory, DATA_FILE));
  if (damage !== undefined) throw damaged(directory, damage);
  try {
    return open({
      path: directory,
      // A path with a dot in it would be taken for a file's.
      noSubdir: false,
      encoding: 'string',
      noSync: true,
      mapSize: MAP_BYTES,
      maxDbs: MOST_TABLES,
    });
  } catch (cause) {
    throw damaged(directory, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function damaged(directory: string, why: string, cause?: unknown): Error {
  return new Error(
    `the affinity store in ${directory} cannot be read (${why}); ` +
      `remove ${DATA_FILE} and lock.mdb from it to begin with an empty one: agents will be placed anew`,
    { cause },
  );
}

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
function damageOf(path: string): string | undefined {
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

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it is a file, or lies below one' : code;
    throw new Error(
      `the state directory ${directory} cannot be made (${why}): name another with --state-dir or affinity.stateDir`,
      { cause: error },
    );
  }
}
