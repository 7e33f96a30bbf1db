import type { Config, PoolConfig } from './schema.ts';

/**
 * `after`, with the instances that it has no more in their pools: agents are
 * bound to those until all gateways agree that they are gone, so workers must be
 * able to send there. None takes new agents: only what is agreed decides that.
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

/** {@link withRetiring} has added it: the operator's configuration does not name it any more. */
export function isRetiring(instance: PoolConfig['instances'][number]): boolean {
  return 'isRetiring' in instance;
}
