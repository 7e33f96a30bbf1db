import type { InstanceId, InstanceState } from '../instance.ts';
import type { View } from '../view.ts';
import { makeView } from '../view.ts';
import type { AgreedInstance, AgreedView } from './agreed-view.ts';
import type { PoolRules } from './next-view.ts';

/** What a replica's own configuration says of the pool. */
export interface Configured {
  readonly pool: string;
  readonly rules: PoolRules;
  readonly weights: ReadonlyMap<InstanceId, number>;
}

/**
 * What is agreed, together with what the configuration adds that nobody has to
 * agree on. An instance that the configuration does not name comes last, with no
 * weight.
 */
export function materialize(agreed: AgreedView, { pool, rules, weights }: Configured): View {
  const known = new Map(rules.instances.map((instance) => [instance.id, instance]));
  const ids = new Set([...known.keys(), ...Object.keys(agreed.instances)]);
  const instances = [...ids].map((id): InstanceState => {
    const held: AgreedInstance | undefined = agreed.instances[id];
    const configured = known.get(id);
    return {
      id,
      priority: configured?.priority ?? Number.MAX_SAFE_INTEGER,
      weight: configured === undefined ? 0 : (weights.get(id) ?? 1),
      admin: held?.admin ?? configured?.admin ?? 'enabled',
      health: held?.health ?? 'unknown',
      incarnation: held?.incarnation ?? '',
      past: held?.past ?? [],
      quarantined: (held?.quarantinedAt ?? 0) > 0,
      lostAt: held?.lostAt ?? 0,
    };
  });
  return makeView({
    pool,
    mode: rules.mode,
    epoch: agreed.epoch,
    settled: agreed.settled,
    instances,
    active: agreed.active,
    moving: new Map(agreed.moving.map(({ key, to }) => [key, to])),
  });
}
