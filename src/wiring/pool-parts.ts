import { isRetiring } from '../config/retiring.ts';
import type { Config, PoolConfig } from '../config/schema.ts';
import { KEY_FORMAT } from '../core/stored-name.ts';
import { USER_NAME_FORM } from '../core/user-name.ts';
import { partsOf } from '../core/view/agreed-config.ts';
import type { ConfigParts } from '../core/view/config-parts.ts';
import { parseFailback } from '../core/view/failback.ts';
import type { Failback } from '../core/view/policy.ts';
import type { PoolRules } from '../core/view/pool-rules.ts';
import { bindsAgents } from '../proxy/pool.ts';

/**
 * The parts of a pool's configuration that gateways compare. They contain no secrets: the store keeps them, /status
 * shows them.
 */
export function poolParts(configured: PoolConfig, config: Config): ConfigParts {
  const pool = { ...configured, instances: configured.instances.filter((instance) => !isRetiring(instance)) };
  return partsOf({
    rules: poolRules(pool, config.coordination.quorum),
    weights: poolWeights(pool),
    failback: failbackOf(pool),
    fixed: {
      ...Object.fromEntries(
        pool.instances.map(({ id, url, commonUrl }) => [`url:${id}`, new URL(commonUrl ?? url).origin]),
      ),
      ...(bindsAgents(pool) ? namingParts(pool, config) : {}),
    },
  });
}

/** The options that decide under which names agents are known, and for how long. Only for pools that bind agents. */
function namingParts(pool: PoolConfig, { identity, affinity, limits }: Config): ConfigParts {
  // They name no agent.
  const { onUnreadable: _, logoff: _logoff, logoffGrace: _grace, addressMask, ...rules } = identity;
  const bindsByAddress = pool.anonymous === 'address';
  return {
    ...Object.fromEntries(Object.entries(rules).map(([option, value]) => [`identity.${option}`, value])),
    ...(bindsByAddress ? { 'identity.addressMask': addressMask } : {}),
    anonymous: bindsByAddress ? 'address' : 'not by address',
    'limits.xmlDepth': limits.xmlDepth,
    'affinity.idleLifetime': affinity.idleLifetime,
    userNameForm: USER_NAME_FORM,
    keyFormat: KEY_FORMAT,
  };
}

export function poolWeights({ instances }: PoolConfig): ReadonlyMap<string, number> {
  return new Map(instances.map(({ id, weight }) => [id, weight]));
}

function failbackOf({ failback, failbackZone }: PoolConfig): Failback {
  const parsed = parseFailback(failback);
  // The validation of the configuration has refused this already.
  if (parsed === undefined) throw new Error(`not a failback: ${failback}`);
  return parsed.kind === 'at' ? { ...parsed, zone: failbackZone } : parsed;
}

export function poolRules(pool: PoolConfig, quorum: PoolRules['quorum']): PoolRules {
  const { health, mode, instances } = pool;
  const canTell =
    health.incarnation !== undefined ||
    health.incarnationPointer !== undefined ||
    health.emptyMatches !== undefined;
  return {
    mode,
    quorum,
    quarantines: pool.quarantine === 'always' || (pool.quarantine === 'auto' && canTell),
    countsLives: pool.countRestarts,
    instances: instances.map(({ id, priority, admin }) => ({ id, priority, admin })),
  };
}
