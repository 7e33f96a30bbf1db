import type { InstanceState } from '../instance.ts';
import { fitOf, instancesIn, rulesBy, weightIn } from './agreed-config.ts';
import type { AgreedInstance, AgreedView } from './agreed-view.ts';
import type { ConfigParts } from './config-parts.ts';
import type { PoolRules } from './pool-rules.ts';
import type { View } from './view.ts';
import { makeView } from './view.ts';

/** What a replica's own configuration says about the pool. */
export interface Configured {
  readonly pool: string;
  readonly rules: PoolRules;
  readonly parts: ConfigParts;
}

/**
 * Shows the agreed view as this replica uses it. An instance outside the agreed configuration has the last priority
 * and takes no new agents.
 */
export function materialize(agreed: AgreedView, { pool, rules, parts }: Configured): View {
  const config = agreed.config ?? parts;
  const ruled = new Map(rulesBy(config, rules).instances.map((instance) => [instance.id, instance]));
  const listed = new Set(instancesIn(config));
  const ids = new Set([...listed, ...rules.instances.map(({ id }) => id), ...Object.keys(agreed.instances)]);
  const instances = [...ids].map((id): InstanceState => {
    const held: AgreedInstance | undefined = agreed.instances[id];
    const configured = ruled.get(id);
    return {
      id,
      priority: configured?.priority ?? Number.MAX_SAFE_INTEGER,
      weight: listed.has(id) ? weightIn(config, id) : 0,
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
    fit: fitOf(agreed.config, parts),
    settled: agreed.settled,
    instances,
    active: agreed.active,
    moving: new Map(agreed.moving.map(({ key, to }) => [key, to])),
    rebalances: (agreed.rebalancesUntil ?? 0) > 0,
    moves: new Map(agreed.moving.map((move) => [move.key, move])),
  });
}
