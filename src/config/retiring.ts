import type { Config, PoolConfig } from './schema.ts';

/**
 * `after`, plus the instances that it removes from its pools: agents stay
 * bound to them until all gateways agree that they are gone, so workers must be
 * able to send there. They take no new agents, because the agreed view decides that.
 */
export function withRetiring(before: Config, after: Config): Config {
  return { ...after, pools: after.pools.map((pool) => ({ ...pool, instances: kept(before, pool) })) };
}

function kept(before: Config, pool: PoolConfig): PoolConfig['instances'] {
  const present = new Set(pool.instances.map(({ id }) => id));
  const was = before.pools.find(({ name }) => name === pool.name)?.instances ?? [];
  const retiring = was
    .filter(({ id }) => !present.has(id))
    .map((instance) => ({ ...instance, isRetiring: true }));
  return [...pool.instances, ...retiring];
}

/** Whether {@link withRetiring} has added it: the operator's configuration does not name it any more. */
export function isRetiring(instance: PoolConfig['instances'][number]): boolean {
  return 'isRetiring' in instance;
}
