import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RootDatabase } from 'lmdb';
import { open } from 'lmdb';
import { explainDiskError } from '../../core/disk-error.ts';
import type { AffinityStore } from '../../core/ports.ts';
import { StoreUnavailable } from '../../core/ports.ts';
import { damageOf } from './file.ts';
import type { OwnerLock } from './owner-lock.ts';
import { lockDirectory } from './owner-lock.ts';
import type { EmbeddedPoolOptions } from './pool.ts';
import { EmbeddedPool } from './pool.ts';
import { EmbeddedRoom, reserve } from './room.ts';

export interface EmbeddedOptions {
  /** Made if it is missing. One process uses it at a time. */
  readonly directory: string;
  /** Milliseconds of the epoch; the process's wall clock by default. */
  readonly clock?: () => number;
  /** Where the disk is full or cannot be written, the store is away instead, until it can. */
  readonly mayBeAway?: boolean;
}

/** The store of a host that is the only one, in a directory of its own. */
export interface Embedded {
  /** To be asked for once for each pool. */
  store(pool: string, options: EmbeddedPoolOptions): AffinityStore;
  /** @throws StoreUnavailable while the disk cannot take what a step may write */
  requireRoom(): void;
  close(): Promise<void>;
}

interface Opened {
  readonly environment: RootDatabase;
  readonly room: EmbeddedRoom;
  readonly lock: OwnerLock;
}

const DATA_FILE = 'data.mdb';
const LOCK_FILE = 'lock.mdb';
// Address space, not memory: growing the map later would count the same pages twice.
const MAP_BYTES = 1024 ** 3;
// Six tables a pool.
const MAX_TABLES = 768;
// Between tries to open the store, each of which takes the lock of the directory.
const OPEN_AGAIN_MS = 100;

/**
 * Opens the store, or throws with what the operator can do about it.
 *
 * Transactions are written to the operating system and not forced to the disk:
 * they survive the end of this process, however it ends. When the whole host
 * dies, the last ones may be lost and the file may be damaged, in which case
 * opening it says so. Waiting for the disk would cost every claim milliseconds,
 * to save bindings to connectors that went down with the host.
 *
 * A disk that is full or cannot be written is a store that is away. A gateway
 * that starts on one knows no agents and would place them again, so it does not
 * start; where others know them, `mayBeAway` lets it start.
 */
export function openEmbedded({ directory, clock = Date.now, mayBeAway = false }: EmbeddedOptions): Embedded {
  let opened: Opened | undefined;
  let failure: StoreUnavailable | undefined;
  let isClosed = false;
  let againAt = 0;

  const openNow = (): Opened => {
    if (failure !== undefined && performance.now() < againAt) throw failure;
    try {
      opened = openDirectory(directory);
      failure = undefined;
      return opened;
    } catch (error) {
      failure = unavailable(directory, error);
      againAt = performance.now() + OPEN_AGAIN_MS;
      throw failure;
    }
  };
  const withRoom = (): RootDatabase => {
    if (isClosed) throw new StoreUnavailable('the affinity store is closed');
    const { environment, room } = opened ?? openNow();
    try {
      room.ensure();
    } catch (error) {
      throw unavailable(directory, error);
    }
    return environment;
  };

  try {
    opened = openDirectory(directory);
  } catch (error) {
    const why = explain(directory, error);
    if (why === undefined) throw error;
    if (!mayBeAway)
      throw new Error(`${why}, or name another directory with --state-dir or affinity.stateDir`);
  }
  const stores: AffinityStore[] = [];
  return {
    store(pool, options) {
      const store = new EmbeddedPool(withRoom, pool, options, clock);
      stores.push(store);
      return store;
    },
    requireRoom: () => void withRoom(),
    async close() {
      isClosed = true;
      for (const store of stores) await store.close();
      if (opened === undefined) return;
      const { environment, room, lock } = opened;
      opened = undefined;
      await environment.close();
      room.close();
      lock.release();
    },
  };
}

function openDirectory(directory: string): Opened {
  makeDirectory(directory);
  const lock = lockDirectory(directory);
  try {
    const [dataFile, lockFile] = [join(directory, DATA_FILE), join(directory, LOCK_FILE)];
    const damage = damageOf(dataFile);
    if (damage !== undefined) throw damaged(directory, damage);
    reserve(dataFile, lockFile);
    const isNew = !existsSync(dataFile);
    // A file that LMDB has made already gets its room first.
    if (!isNew) new EmbeddedRoom(dataFile, MAP_BYTES).close();
    const environment = openEnvironment(directory);
    try {
      return { environment, room: new EmbeddedRoom(dataFile, MAP_BYTES), lock };
    } catch (error) {
      void environment.close();
      if (isNew) rmSync(dataFile, { force: true });
      throw error;
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openEnvironment(directory: string): RootDatabase {
  try {
    return open({
      path: directory,
      // A path with a dot in it would be taken for a file's.
      noSubdir: false,
      encoding: 'string',
      noSync: true,
      mapSize: MAP_BYTES,
      maxDbs: MAX_TABLES,
    });
  } catch (cause) {
    throw damaged(directory, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function explain(directory: string, error: unknown): string | undefined {
  return explainDiskError(`the affinity store in ${directory}`, error);
}

function unavailable(directory: string, error: unknown): StoreUnavailable {
  return new StoreUnavailable(explain(directory, error) ?? (error as Error).message, error);
}

function damaged(directory: string, why: string, cause?: unknown): Error {
  return new Error(
    `the affinity store in ${directory} cannot be read (${why}); ` +
      `remove ${DATA_FILE} and ${LOCK_FILE} from it to begin with an empty one: all agents will be placed again`,
    { cause },
  );
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EIO') throw error;
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it is a file, or lies below one' : code;
    throw new Error(
      `the state directory ${directory} cannot be made (${why}): name another with --state-dir or affinity.stateDir`,
      { cause: error },
    );
  }
}
