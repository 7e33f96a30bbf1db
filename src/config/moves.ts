import type { InstanceStatus, PoolStatus } from '../core/gateway-status.ts';
import type { Rebinds } from './restarts.ts';
import type { Config, InstanceConfig, PoolConfig } from './schema.ts';

/** The agents of one instance that would move. */
export interface InstanceMoves {
  readonly instance: string;
  readonly boundAgents: number;
  readonly why: string;
}

/** The effect of a new configuration on the agents of one pool. */
export interface PoolMoves {
  readonly pool: string;
  /** The gateway does not have the pool yet. */
  readonly isNew: boolean;
  readonly boundAgents: number;
  readonly moving: number;
  /** The active instance of a failover pool changes, with all its agents, including those without a binding. */
  readonly movesEverybody: boolean;
  readonly instances: readonly InstanceMoves[];
}

/**
 * Which agents would move if the gateway with these pools ran with `after` instead.
 * Counts every agent that may move, so the result is never too low.
 *
 * @param rebinds why bindings do not survive the change
 */
export function movesOf(
  pools: readonly PoolStatus[],
  after: Config,
  rebinds: readonly Rebinds[] = [],
): PoolMoves[] {
  const present = new Set(pools.map(({ name }) => name));
  return [
    ...pools.map((pool) => movesIn(pool, next(after, pool.name), rebinds)),
    ...after.pools.filter(({ name }) => !present.has(name)).map(({ name }) => newPool(name)),
  ];
}

function next(after: Config, name: string): PoolConfig | undefined {
  return after.pools.find((pool) => pool.name === name);
}

function newPool(pool: string): PoolMoves {
  return { pool, isNew: true, boundAgents: 0, moving: 0, movesEverybody: false, instances: [] };
}

function movesIn(pool: PoolStatus, after: PoolConfig | undefined, rebinds: readonly Rebinds[]): PoolMoves {
  const isSticky = pool.mode === 'sticky';
  const ofAll = whyAll(pool, after) ?? rebinds.find(({ losesView }) => isSticky || losesView)?.why;
  const leavesActive = isSticky ? undefined : whyActiveChanges(pool, after);
  const instances = pool.instances.flatMap((instance): InstanceMoves[] => {
    const { id, boundAgents, active } = instance;
    const servesAll = !isSticky && active;
    const why = ofAll ?? whyLeft(instance, after) ?? (servesAll ? leavesActive : undefined);
    const matters = boundAgents > 0 || servesAll;
    return why === undefined || !matters ? [] : [{ instance: id, boundAgents, why }];
  });
  return {
    pool: pool.name,
    isNew: false,
    boundAgents: sum(pool.instances),
    moving: sum(instances),
    movesEverybody: !isSticky && instances.some(({ instance }) => isActive(pool, instance)),
    instances,
  };
}

function whyAll({ mode }: PoolStatus, after: PoolConfig | undefined): string | undefined {
  if (after === undefined) return 'the pool is removed';
  return after.mode === mode ? undefined : `the mode changes to ${after.mode}`;
}

/** Why an instance loses all its agents, whatever the other instances do. */
function whyLeft({ id, act, admin }: InstanceStatus, after: PoolConfig | undefined): string | undefined {
  const configured = find(after, id);
  if (configured === undefined) return 'it is removed';
  // An operator's decision overrides the configuration.
  const becomesDisabled = act === null && admin !== 'disabled' && configured.admin === 'disabled';
  return becomesDisabled ? 'it becomes disabled' : undefined;
}

/** Why another instance would replace the active one of a failover pool, although it stays configured. */
function whyActiveChanges(pool: PoolStatus, after: PoolConfig | undefined): string | undefined {
  const active = find(after, pool.active?.instance);
  if (active === undefined || after === undefined) return undefined;
  const policy = pool.failback?.by === 'operator' ? pool.failback.policy : after.failback;
  if (policy !== 'immediate') return undefined;
  const preferred = after.instances
    .filter(({ id, priority }) => priority < active.priority && couldServe(pool, id, after))
    .toSorted((a, b) => a.priority - b.priority)[0];
  return preferred === undefined ? undefined : `failback is immediate, and ${preferred.id} is preferred`;
}

function couldServe(pool: PoolStatus, id: string, after: PoolConfig): boolean {
  const known = pool.instances.find((instance) => instance.id === id);
  const { act = null } = known ?? {};
  const admin = act === null ? find(after, id)?.admin : known?.admin;
  // An instance of unknown health may come up at any time.
  return admin === 'enabled' && (known === undefined || (known.health === 'up' && !known.quarantined));
}

function find(pool: PoolConfig | undefined, id: string | undefined): InstanceConfig | undefined {
  return pool?.instances.find((instance) => instance.id === id);
}

function isActive({ active }: PoolStatus, id: string): boolean {
  return active?.instance === id;
}

function sum(counts: readonly { readonly boundAgents: number }[]): number {
  return counts.reduce((total, { boundAgents }) => total + boundAgents, 0);
}
