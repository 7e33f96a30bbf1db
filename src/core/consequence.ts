import type { InstanceStatus, PoolStatus } from './gateway-status.ts';
import type { InstanceId } from './instance.ts';

/** The acts whose consequence depends on who is bound where now. */
export const WEIGHED_ACTS = ['enable', 'drain', 'disable', 'release', 'activate', 'failback'] as const;
export type WeighedAct = (typeof WEIGHED_ACTS)[number];

export interface Consequence {
  /** Agents that must log on again at once; `null` if that is all of a failover pool, which need not be counted. */
  readonly agents: number | null;
  readonly text: string;
}

/** A consequence, and the id of the view of the pool by which it was computed. */
export type PoolConsequence = Consequence & { readonly view: string };

/**
 * What an act would do to the agents of a pool now.
 *
 * @param id of an instance of the pool; for a failback the most preferred instance takes its place
 */
export function consequenceOf(act: WeighedAct, pool: PoolStatus, id: InstanceId): Consequence {
  const instance = pool.instances.find((one) => one.id === id);
  if (instance === undefined) return nothing(`pool ${pool.name} has no instance ${id}`);
  switch (act) {
    case 'enable':
      return enabled(pool, instance);
    case 'release':
      return instance.quarantined
        ? nothing(
            `${id} takes new agents again; if it still holds agents that others serve now, both serve them`,
          )
        : nothing(`nothing: ${id} is not in quarantine`);
    case 'drain':
      return pool.mode === 'failover' ? drainedTogether(pool, instance) : drained(pool, instance);
    case 'disable':
      return pool.mode === 'failover' ? disabledTogether(pool, instance) : disabled(pool, instance);
    case 'activate':
      return activated(pool, instance);
    case 'failback':
      return activated(pool, preferred(pool));
  }
}

function enabled({ mode }: PoolStatus, { id, admin, health }: InstanceStatus): Consequence {
  if (admin === 'enabled') return nothing(`nothing: ${id} is enabled`);
  const may = mode === 'failover' ? 'may become active' : 'takes new agents';
  return nothing(
    health === 'up' ? `${id} ${may} again` : `${id} ${may} again once it is up; it is ${health}`,
  );
}

function drained(pool: PoolStatus, { id, boundAgents }: InstanceStatus): Consequence {
  if (boundAgents === 0) return nothing(`no agent is bound to ${id}, so it is disabled at once`);
  const stay = `${agents(boundAgents)} ${boundAgents === 1 ? 'stays' : 'stay'} at ${id} until ${boundAgents === 1 ? 'the binding ends' : 'their bindings end'}; at the deadline, if there is one, those left must log on again elsewhere`;
  return nothing(takers(pool, id).length > 0 ? stay : `${stay}. No other instance takes new agents`);
}

function drainedTogether(pool: PoolStatus, { id }: InstanceStatus): Consequence {
  return isActive(pool, id)
    ? nothing(
        `the agents stay at ${id} until the pool is idle, or until the deadline: then all of them must log on again elsewhere`,
      )
    : nothing(`no agent is affected: ${id} is not the active instance`);
}

function disabled(pool: PoolStatus, { id, boundAgents }: InstanceStatus): Consequence {
  if (takers(pool, id).length > 0) return logOnAgain(boundAgents, `no agent is bound to ${id}`);
  return {
    agents: boundAgents,
    text: `no other instance takes agents: ${agents(boundAgents)} of ${id}, and all new ones, cannot work until one does`,
  };
}

function disabledTogether(pool: PoolStatus, { id }: InstanceStatus): Consequence {
  if (!isActive(pool, id)) return nothing(`no agent is affected: ${id} is not the active instance`);
  return successors(pool, id).length > 0
    ? ALL
    : { agents: null, text: 'no other instance can take over: no agent of the pool can work until one can' };
}

function activated(pool: PoolStatus, instance: InstanceStatus | undefined): Consequence {
  if (pool.mode !== 'failover') return nothing(`pool ${pool.name} is sticky: it has no active instance`);
  if (instance === undefined) return nothing('nothing: no instance is up and enabled');
  if (isActive(pool, instance.id)) return nothing(`nothing: ${instance.id} is already the active instance`);
  return pool.active === null ? nothing(`${instance.id} serves all agents`) : ALL;
}

const ALL: Consequence = { agents: null, text: 'all agents of the pool must log on again' };

function logOnAgain(count: number, ifNone: string): Consequence {
  return count === 0 ? nothing(ifNone) : { agents: count, text: `${agents(count)} must log on again` };
}

function nothing(text: string): Consequence {
  return { agents: 0, text };
}

function agents(count: number): string {
  return count === 1 ? '1 agent' : `${count} agents`;
}

function isActive({ active }: PoolStatus, id: InstanceId): boolean {
  return active?.instance === id;
}

/** The other instances that take new agents now. */
function takers({ instances }: PoolStatus, id: InstanceId): readonly InstanceStatus[] {
  return instances.filter((one) => one.id !== id && one.weightShare > 0);
}

/** The other instances that can become active. */
function successors({ instances }: PoolStatus, id?: InstanceId): readonly InstanceStatus[] {
  return instances.filter((one) => one.id !== id && one.health === 'up' && one.admin === 'enabled');
}

function preferred(pool: PoolStatus): InstanceStatus | undefined {
  return successors(pool).toSorted((a, b) => a.priority - b.priority || (a.id < b.id ? -1 : 1))[0];
}
