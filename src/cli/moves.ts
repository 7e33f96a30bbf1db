import type { Change } from '../config/changes.ts';
import type { Rebinds } from '../config/restarts.ts';
import type { Config, InstanceConfig, PoolConfig } from '../config/schema.ts';
import type { InstanceStatus, PoolStatus } from '../core/gateway-status.ts';

/** Agents of one instance who would have to go elsewhere. */
export interface InstanceMoves {
  readonly instance: string;
  readonly boundAgents: number;
  readonly why: string;
}

/** What a new configuration would mean for the agents of one pool. */
export interface PoolMoves {
  readonly pool: string;
  /** The gateway does not have it yet. */
  readonly isNew: boolean;
  readonly boundAgents: number;
  readonly moving: number;
  /** A failover pool goes to another instance with everybody, the agents included that it does not count because it binds none. */
  readonly movesEverybody: boolean;
  readonly instances: readonly InstanceMoves[];
}

/**
 * Who would move if the gateway that shows these pools ran with `after` instead.
 * What may move counts: nobody should be told of fewer.
 */
export function movesOf(
  pools: readonly PoolStatus[],
  after: Config,
  changes: readonly Change[] = [],
): PoolMoves[] {
  const rebinds = changes.flatMap((change) => change.rebinds ?? []);
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
  if (after === undefined) return 'the pool is gone';
  return after.mode === mode ? undefined : `the mode becomes ${after.mode}`;
}

/** Why an instance loses all its agents, whoever else serves. */
function whyLeft({ id, act, admin }: InstanceStatus, after: PoolConfig | undefined): string | undefined {
  const configured = find(after, id);
  if (configured === undefined) return 'it is removed';
  // What an operator has decided is stronger than the configuration.
  const becomesDisabled = act === null && admin !== 'disabled' && configured.admin === 'disabled';
  return becomesDisabled ? 'it becomes disabled' : undefined;
}

/** Why the active instance of a failover pool, though it stays, would give way to another one. */
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
  // One that is not known yet may come up at any time.
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
