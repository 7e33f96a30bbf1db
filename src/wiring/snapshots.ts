import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { OwnerLock } from '../affinity/owner-lock.ts';
import { lockDirectory } from '../affinity/owner-lock.ts';
import { recallBindings, UnusableSnapshot } from '../affinity/snapshot/recall.ts';
import { SnapshotRecorder } from '../affinity/snapshot/recorder.ts';
import type { Config, PoolConfig } from '../config/schema.ts';
import { AgreementFile } from '../coordination/agreement-file.ts';
import type { PoolCoordinator } from '../coordination/pool-coordinator.ts';
import type { Binding } from '../core/binding.ts';
import { explainDiskError } from '../core/disk-error.ts';
import type { Name } from '../core/identity.ts';
import type { AffinityStore } from '../core/ports.ts';
import { bindsAgents } from '../proxy/pool.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** The snapshot of one pool. */
export interface PoolSnapshot {
  /**
   * Offers what this gateway knew before it ended, once, if the store has lost data. To be called before the gateway says
   * that it has written back.
   *
   * @throws StoreUnavailable
   */
  recall(): Promise<void>;
  /** An agent was placed or moved here while the store was away. */
  decidedAlone(binding: Binding, aliases: readonly Name[]): void;
  /** To be called when the coordinator has started. */
  start(): void;
  close(): Promise<void>;
}

export interface PoolSnapshotParts {
  readonly poolConfig: PoolConfig;
  readonly coordinator: () => PoolCoordinator;
  /** A store of its own, because a store has one listener. */
  readonly openStore: () => AffinityStore;
  /** The name of this gateway. */
  readonly gateway: string;
  /** Workers from before live, and know more than any file. */
  readonly isContinued: boolean;
}

export interface Snapshots {
  open(parts: PoolSnapshotParts): PoolSnapshot | undefined;
  close(): void;
}

const TICK_MS = 1_000;
// What living gateways know comes first; they sync three times per lease.
const VIEW_AFTER_SHARE = 0.5;
// New agents wait meanwhile.
const LONGEST_OFFER_LEASES = 3;

/** Opens the snapshots of this gateway, if it keeps any. The log says why not. */
export function openSnapshots(config: Config, logger: Logger, metrics: Metrics): Snapshots {
  const { snapshot, store, stateDir } = config.affinity;
  const lock = snapshot && store === 'redis' ? lockSnapshots(stateDir, logger) : undefined;
  if (lock === undefined) return { open: () => undefined, close: () => undefined };
  const directory = directoryIn(stateDir);
  removeOthers(directory, config.pools);
  return {
    open: (parts) => composeSnapshot(config, directory, parts, logger, metrics),
    close: () => lock.release(),
  };
}

function directoryIn(stateDir: string): string {
  return join(stateDir, 'snapshot');
}

function lockSnapshots(stateDir: string, logger: Logger): OwnerLock | undefined {
  const directory = directoryIn(stateDir);
  try {
    if (statSync(stateDir, { throwIfNoEntry: false })?.isDirectory() !== true) {
      logger.info(
        { stateDir },
        'no snapshot is kept, because the directory affinity.stateDir does not exist',
      );
      return undefined;
    }
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const inUse = (by: string): Error =>
      new Error(`${directory} is in use by ${by}: set affinity.stateDir to another directory`);
    return lockDirectory(directory, inUse);
  } catch (error) {
    logger.warn({ stateDir, detail: reasonOf(directory, error) }, 'no snapshot is kept');
    return undefined;
  }
}

/** Files of pools that are no longer configured hold names of agents, and serve nothing. */
function removeOthers(directory: string, pools: readonly PoolConfig[]): void {
  const kept = new Set(
    pools.flatMap(({ name }) => [fileOf(directory, name, 'bindings'), fileOf(directory, name, 'json')]),
  );
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (/\.(bindings|json)(\.new)?$/.test(name) && !kept.has(path)) rmSync(path, { force: true });
  }
}

function fileOf(directory: string, pool: string, kind: 'bindings' | 'json'): string {
  return join(directory, `${pool}.${kind}`);
}

function reasonOf(path: string, error: unknown): string {
  return explainDiskError(path, error) ?? (error as Error).message;
}

function composeSnapshot(
  { affinity, coordination }: Config,
  directory: string,
  { poolConfig, coordinator, openStore, gateway, isContinued }: PoolSnapshotParts,
  logger: Logger,
  metrics: Metrics,
): PoolSnapshot {
  const { name: pool } = poolConfig;
  const { keyPrefix, idleLifetime: idleLifetimeMs } = affinity;
  const { lease } = coordination;
  const path = fileOf(directory, pool, 'bindings');
  const agreement = new AgreementFile({ path: fileOf(directory, pool, 'json'), pool, keyPrefix });
  const store = openStore();
  const notUsed = (file: string, error: unknown): void =>
    logger.warn(
      { pool, file, detail: reasonOf(file, error) },
      'a file of the snapshot is not used: it cannot be read',
    );
  const notWritten = (file: string, error: unknown): void => {
    metrics.snapshotBytes.set({ pool }, 0);
    logger.warn({ pool, file, detail: reasonOf(file, error) }, 'the snapshot cannot be written');
  };
  const recorder = bindsAgents(poolConfig)
    ? new SnapshotRecorder({
        store,
        path,
        pool,
        keyPrefix,
        idleLifetimeMs,
        openGeneration: () => {
          const { lastSync, isEffective, restorer, isStoreAway } = coordinator();
          const isWhole = lastSync.isOpen && isEffective && restorer.isDone && !isStoreAway;
          return isWhole ? lastSync.storeGeneration : undefined;
        },
        renew: () => coordinator().renew(),
        onWritten: (bytes) => metrics.snapshotBytes.set({ pool }, bytes),
        onFailed: (error) => notWritten(path, error),
      })
    : undefined;

  let isDone = isContinued;
  let recalling: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let saving: Promise<void> | undefined;
  let hasFailed = false;
  const save = async (): Promise<void> => {
    const { lastSync, agreed } = coordinator();
    // Until the store is open, it may still get a newer view from others.
    if (!lastSync.isOpen || agreed.epoch === 0) return;
    try {
      await agreement.save({ agreed, policy: lastSync.policy });
      hasFailed = false;
    } catch (error) {
      if (!hasFailed) notWritten(agreement.path, error);
      hasFailed = true;
    }
  };
  const recallAgents = async (): Promise<void> => {
    try {
      const limitMs = lease * LONGEST_OFFER_LEASES;
      const recalled = await recallBindings({
        path,
        pool,
        keyPrefix,
        store,
        gateway,
        idleLifetimeMs,
        limitMs,
      });
      if (recalled === undefined) return;
      const { writtenAt, restored, ended, outdated, left } = recalled;
      for (const [outcome, count] of Object.entries({ restored, ended, outdated, left }))
        metrics.snapshotBindings.inc({ pool, outcome }, count);
      logger.warn(
        { pool, snapshot: writtenAt.toISOString(), restored, ended, outdated, left },
        `restored ${restored} bindings from the snapshot of ${writtenAt.toISOString()}; ${ended} have ended since`,
      );
    } catch (error) {
      if (!(error instanceof UnusableSnapshot)) throw error;
      notUsed(path, error);
    }
  };
  const recallView = async (): Promise<void> => {
    const knowledge = await agreement.load().catch((error: unknown) => notUsed(agreement.path, error));
    if (knowledge === undefined || coordinator().agreed.epoch > 0) return;
    await wait(lease * VIEW_AFTER_SHARE, undefined, { ref: false });
    coordinator().recall(knowledge);
    if (coordinator().agreed.id === knowledge.agreed.id)
      logger.warn(
        { pool, epoch: knowledge.agreed.epoch, policy: knowledge.policy.version },
        'restored the view and the decisions of operators from the snapshot',
      );
  };

  const recallOnce = async (): Promise<void> => {
    // If it is open, nothing is lost, or others went on with what they have.
    if (!coordinator().lastSync.isOpen)
      await Promise.all([recorder === undefined ? undefined : recallAgents(), recallView()]);
    isDone = true;
  };

  return {
    recall: () => {
      if (isDone) return Promise.resolve();
      // Another attempt to write back must not offer the same at the same time.
      recalling ??= recallOnce().finally(() => {
        recalling = undefined;
      });
      return recalling;
    },
    decidedAlone: (binding, aliases) => recorder?.decidedAlone(binding, aliases),
    start: () => {
      timer = setInterval(() => {
        recorder?.tick();
        saving ??= save().finally(() => {
          saving = undefined;
        });
      }, TICK_MS);
    },
    close: async () => {
      clearInterval(timer);
      await saving;
      await Promise.all([save(), recorder?.close()]);
      await store.close();
    },
  };
}
