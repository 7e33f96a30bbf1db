import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RootDatabase } from 'lmdb';
import { open } from 'lmdb';
import { explainDiskError } from '../../core/disk-error.ts';
import type { AffinityStore } from '../../core/ports.ts';
import { StoreUnavailable } from '../../core/ports.ts';
import type { OwnerLock } from '../owner-lock.ts';
import { lockDirectory } from '../owner-lock.ts';
import { damageOf } from './file.ts';
import type { EmbeddedPoolOptions } from './pool.ts';
import { EmbeddedPool } from './pool.ts';
import { EmbeddedRoom, reserve } from './room.ts';
import { Steps } from './steps.ts';

export interface EmbeddedOptions {
  /** Created if it is missing. One process uses it at a time. */
  readonly directory: string;
  /** Milliseconds since 1970; the wall clock by default. */
  readonly clock?: () => number;
  /** If the disk is full or cannot be written, open the store as unavailable until it can. Otherwise opening fails. */
  readonly mayBeAway?: boolean;
}

/** The store of a gateway that runs on a single host. */
export interface Embedded {
  /** To be called once for each pool. */
  store(pool: string, options: EmbeddedPoolOptions): AffinityStore;
  /**
   * Begins an operation of a store at the end of this turn of the event loop. All that were begun in the turn are
   * written together.
   *
   * @param begin calls one operation that finds or makes a binding, and nothing else that counts: it may be called twice
   */
  together<T>(begin: () => Promise<T>): Promise<T>;
  /** @throws StoreUnavailable while the disk has no space for a step */
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
// This is address space, not memory. Growing the map later would count the same pages twice.
const MAP_BYTES = 1024 ** 3;
// Each pool has nine tables.
const MAX_TABLES = 1_152;
// The pause between attempts to open the store, each of which locks the directory.
const OPEN_AGAIN_MS = 100;

/**
 * Opens the store, or throws an error that says what the operator can do.
 *
 * Transactions are handed to the operating system and not forced to the disk, so they survive a crash of this process.
 * If the whole host crashes, the last ones may be lost and the file may be damaged, which opening it reports. Waiting
 * for the disk would cost every claim milliseconds, and save bindings to connectors that went down with the host.
 *
 * A disk that is full or cannot be written means that the store is away. A gateway that starts like that knows no
 * agents and would place all of them again, so it does not start. `mayBeAway` lets it start if others know the agents.
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
  const withRoom = (steps = 1): RootDatabase => {
    if (isClosed) throw new StoreUnavailable('the affinity store is closed');
    const { environment, room } = opened ?? openNow();
    try {
      room.ensure(steps);
    } catch (error) {
      throw unavailable(directory, error);
    }
    return environment;
  };
  const pools: EmbeddedPool[] = [];
  const steps = new Steps({
    withRoom,
    openTables: (environment) => {
      for (const pool of pools) pool.open(environment);
    },
    onAborted: () => {
      for (const pool of pools) pool.forget();
    },
  });

  try {
    opened = openDirectory(directory);
  } catch (error) {
    const why = explain(directory, error);
    if (why === undefined) throw error;
    if (!mayBeAway)
      throw new Error(`${why}, or name another directory with --state-dir or affinity.stateDir`);
  }
  return {
    store(name, options) {
      const pool = new EmbeddedPool(steps, name, options, clock);
      pools.push(pool);
      return pool;
    },
    together: (begin) => steps.together(begin),
    requireRoom: () => void withRoom(),
    async close() {
      isClosed = true;
      for (const pool of pools) await pool.close();
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
  const lock = lockDirectory(directory, (by) => inUse(directory, by));
  try {
    const [dataFile, lockFile] = [join(directory, DATA_FILE), join(directory, LOCK_FILE)];
    const damage = damageOf(dataFile);
    if (damage !== undefined) throw damaged(directory, damage);
    reserve(dataFile, lockFile);
    const isNew = !existsSync(dataFile);
    // An existing file gets its reserve before LMDB opens it.
    if (!isNew) new EmbeddedRoom(dataFile, MAP_BYTES).close();
    const environment = openEnvironment(directory);
    for (const file of [dataFile, lockFile]) closeToOthers(file);
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

function inUse(directory: string, by: string): Error {
  return new Error(
    `the affinity store in ${directory} is in use by ${by}; ` +
      'stop that process or configure another directory: the embedded store serves only one process',
  );
}

/** LMDB makes files that others may read, and the directory of an earlier release lets others in. */
function closeToOthers(file: string): void {
  try {
    chmodSync(file, 0o600);
  } catch {
    // It belongs to another user, who decides.
  }
}

function openEnvironment(directory: string): RootDatabase {
  try {
    return open({
      path: directory,
      // Otherwise lmdb takes a path that contains a dot for a file.
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
      `remove ${DATA_FILE} and ${LOCK_FILE} from it to start with an empty one: all agents will be placed again`,
    { cause },
  );
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EIO') throw error;
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'the path is a file or leads through one' : code;
    throw new Error(
      `the state directory ${directory} cannot be created (${why}): name another with --state-dir or affinity.stateDir`,
      { cause: error },
    );
  }
}
