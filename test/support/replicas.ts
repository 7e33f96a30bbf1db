import type { InstanceId } from '../../src/core/instance.ts';
import type { PoolRules } from '../../src/core/view/pool-rules.ts';
import { Replica } from '../../src/core/view/replica.ts';
import type { ReplicaOptions } from '../../src/core/view/replica-options.ts';

/** The rules of a sticky pool of these instances, by priority, except for the given fields. */
export function rulesOf(instances: readonly InstanceId[], given: Partial<PoolRules> = {}): PoolRules {
  return {
    mode: 'sticky',
    quorum: 'majority',
    quarantines: false,
    countsLives: false,
    instances: instances.map((id, i) => ({ id, priority: i + 1, admin: 'enabled' })),
    ...given,
  };
}

/** A replica of a pool with instance `a`, which does nothing without its lease, except for the given options. */
export function aReplica(given: Partial<ReplicaOptions> & Pick<ReplicaOptions, 'leaseMs'>): Replica {
  let ids = 0;
  return new Replica({
    id: 'g1',
    pool: 'ici',
    rules: rulesOf(['a']),
    weights: new Map(),
    onStoreLoss: 'refuse',
    awayMs: 0,
    cutOffMs: given.leaseMs,
    newId: () => {
      ids += 1;
      return `${given.id ?? 'g1'}-${ids}`;
    },
    ...given,
  });
}
