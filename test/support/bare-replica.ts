import { randomUUID } from 'node:crypto';
import { PoolCoordinator } from '../../src/coordination/pool-coordinator.ts';
import { RedisViewStore } from '../../src/coordination/redis/view-store.ts';
import type { InstanceId } from '../../src/core/instance.ts';
import { partsOf } from '../../src/core/view/agreed-config.ts';
import type { Failback } from '../../src/core/view/policy.ts';
import type { PoolRules } from '../../src/core/view/pool-rules.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { rulesOf } from './replicas.ts';
import { SILENT_EVENTS } from './silent-events.ts';

export interface BareReplicaOptions {
  readonly id: string;
  readonly pool: string;
  readonly keyPrefix: string;
  /** By priority. */
  readonly instances: readonly InstanceId[];
  readonly mode?: PoolRules['mode'];
  readonly failback?: Failback;
  readonly leaseMs?: number;
  readonly joinMs?: number;
}

/**
 * A gateway as its peers see it, without the rest: the driver of the agreement on a
 * real view store, for which all instances are always healthy.
 */
export async function startBareReplica(
  redis: RedisConnection,
  {
    id,
    pool,
    keyPrefix,
    instances,
    mode = 'sticky',
    failback,
    leaseMs = 3_000,
    joinMs = leaseMs / 3,
  }: BareReplicaOptions,
): Promise<PoolCoordinator> {
  const rules = rulesOf(instances, { mode, quarantines: true, countsLives: true });
  const weights = new Map<InstanceId, number>();
  const parts = partsOf({ rules, weights, ...(failback === undefined ? {} : { failback }) });
  const coordinator = new PoolCoordinator({
    replica: {
      id,
      pool,
      rules,
      weights,
      parts: () => parts,
      leaseMs,
      onStoreLoss: 'refuse',
      awayMs: 300,
      cutOffMs: 1_750,
      newId: randomUUID,
    },
    thresholds: { rise: 2, fall: 3 },
    viewStore: new RedisViewStore(redis, pool, { keyPrefix, leaseMs, joinMs, confirmedBy: 0 }),
    renewMs: leaseMs / 3,
    doubtMs: 100,
    answerMs: 1_000,
    suspectEveryMs: 250,
    writeBack: async () => undefined,
    boundAgents: () => undefined,
    isIdle: () => false,
    events: SILENT_EVENTS,
  });
  await coordinator.start();
  for (const instance of instances) {
    coordinator.observed(instance, { passed: true, incarnation: `${instance}-1` }, coordinator.agreed.epoch);
  }
  coordinator.settle();
  return coordinator;
}
