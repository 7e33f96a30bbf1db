import type { BalancerName, Load } from './balancers.ts';
import { byRendezvous, createBalancer, withRoom } from './balancers.ts';
import type { Binding, Placement } from './binding.ts';
import { placeInGroup } from './groups.ts';
import type { NameKind } from './identity.ts';
import type { InstanceId, InstanceState } from './instance.ts';
import { isUsable } from './instance.ts';
import { storedKey } from './stored-name.ts';
import { allows } from './target.ts';
import type { View } from './view/view.ts';
import { placementAt } from './view/view.ts';

/** What would change. */
export const WHAT_IF_CHANGES = [
  'instance-dies',
  'enable',
  'disable',
  'drain',
  'weight',
  'gateway-goes',
  'store-goes',
  'config',
] as const;
export type WhatIfChange = (typeof WHAT_IF_CHANGES)[number];

/** An instance before and after the change. */
export interface WhatIfInstance {
  readonly id: InstanceId;
  readonly before: WhatIfShare;
  readonly after: WhatIfShare;
}

export interface WhatIfShare {
  readonly boundAgents: number;
  /** Its share of new agents, from 0 to 1. */
  readonly newAgents: number;
  /** Agents who are bound there can work. */
  readonly serves: boolean;
}

/** Agents who go from one instance to another. */
export interface WhatIfMove {
  readonly from: InstanceId;
  /** `null`: no instance takes them, so they cannot work. */
  readonly to: InstanceId | null;
  readonly agents: number;
}

/** One agent who moves. */
export interface WhatIfAgent {
  readonly name: string;
  readonly kind: NameKind;
  readonly from: InstanceId;
  /** `null` if no instance takes the agent, or the balancer chooses only when the next request comes. */
  readonly to: InstanceId | null;
}

/** What a change would do to the bound agents of a pool. */
export interface WhatIf {
  readonly pool: string;
  /** The id of the view by which it was computed. */
  readonly view: string;
  /** The consequence in one sentence. */
  readonly text: string;
  /** Agents that must log on again; `null` if that is all of a failover pool, which need not be counted. */
  readonly agents: number | null;
  /** Agents that can work nowhere after the change. */
  readonly stranded: number;
  /** The bound agents that were looked at. */
  readonly bound: number;
  /** False if the pool has more agents than are looked at. */
  readonly isComplete: boolean;
  /** Each agent's new instance is known; otherwise only how many go where, as far as the balancer spreads them. */
  readonly isExact: boolean;
  /** Failover pools: the active instance before and after; `null` if there is none, or in a sticky pool. */
  readonly active: { readonly before: InstanceId | null; readonly after: InstanceId | null };
  readonly instances: readonly WhatIfInstance[];
  readonly moves: readonly WhatIfMove[];
  readonly names: readonly WhatIfAgent[];
  /** What else the change means. */
  readonly notes: readonly string[];
}

export interface WhatIfPool {
  readonly balancer: BalancerName;
  readonly maxAgents: ReadonlyMap<InstanceId, number>;
  readonly load: Load;
  /** The group of an agent. */
  readonly groupOf: (binding: Binding) => string | undefined;
}

export interface Moves {
  readonly moves: readonly WhatIfMove[];
  readonly names: readonly WhatIfAgent[];
  readonly instances: readonly WhatIfInstance[];
  readonly moving: number;
  readonly stranded: number;
  /** Agents whose instance has lost them before the change. */
  readonly alreadyLost: number;
  readonly isExact: boolean;
}

/**
 * Which bound agents move if `after` follows `before`, and where to. The rules are those of requests: a binding moves
 * if its instance is not allowed to serve it any more, to where the balancer places an agent with this root.
 *
 * @param candidates the instances that take new agents after the change
 * @param most the most names that are told
 * @param breathe called for each agent who moves, because placing many takes seconds; waits if others should have a turn
 */
export async function movesBetween(
  before: View,
  after: View,
  candidates: readonly InstanceState[],
  bindings: readonly Binding[],
  pool: WhatIfPool,
  most: number,
  breathe: () => Promise<void> | undefined,
): Promise<Moves> {
  const counts = new Map<InstanceId, number>();
  const staying: Binding[] = [];
  const moving: Binding[] = [];
  for (const binding of bindings) {
    (allows(after, binding) ? staying : moving).push(binding);
  }
  for (const { instance } of staying) add(counts, instance, 1);
  const isExact = pool.balancer === 'rendezvous' || candidates.length < 2;
  const place = placer(after, candidates, staying, counts, pool);
  const pairs = new Map<string, WhatIfMove>();
  const names: WhatIfAgent[] = [];
  let stranded = 0;
  let alreadyLost = 0;
  for (const binding of moving) {
    const pause = breathe();
    if (pause !== undefined) await pause;
    const to = place(binding);
    const { instance: from, root } = binding;
    if (to !== undefined) add(counts, to, 1);
    // Such an agent moves whether or not the change is made.
    if (!allows(before, binding)) {
      alreadyLost += 1;
      continue;
    }
    if (to === undefined) stranded += 1;
    const key = JSON.stringify([from, to]);
    pairs.set(key, { from, to: to ?? null, agents: (pairs.get(key)?.agents ?? 0) + 1 });
    if (names.length < most)
      names.push({ name: root.value, kind: root.kind, from, to: isExact ? (to ?? null) : null });
  }
  const boundBefore = new Map<InstanceId, number>();
  for (const { instance } of bindings) add(boundBefore, instance, 1);
  const ids = [...new Set([...before.instances.keys(), ...after.instances.keys()])].sort();
  const share = sharesOf(candidates);
  const shareBefore = sharesOf(before.assignable);
  return {
    moves: [...pairs.values()].sort((a, b) => b.agents - a.agents),
    names,
    instances: ids.map((id) => ({
      id,
      before: {
        boundAgents: boundBefore.get(id) ?? 0,
        newAgents: shareBefore.get(id) ?? 0,
        serves: serves(before, id),
      },
      after: { boundAgents: counts.get(id) ?? 0, newAgents: share.get(id) ?? 0, serves: serves(after, id) },
    })),
    moving: moving.length - alreadyLost,
    stranded,
    alreadyLost,
    isExact,
  };
}

/** Where an agent goes whose instance is lost. Agents are counted as they come. */
function placer(
  after: View,
  candidates: readonly InstanceState[],
  staying: readonly Binding[],
  counts: ReadonlyMap<InstanceId, number>,
  { balancer: name, maxAgents, load: now, groupOf }: WhatIfPool,
): (binding: Binding) => InstanceId | undefined {
  // Chance spreads agents by weight in the long run.
  const balancer = createBalancer(name === 'random' ? 'round-robin' : name);
  const load: Load = { boundAgents: (id) => counts.get(id) ?? 0, inFlight: (id) => now.inFlight(id) };
  const groups = new Map<string, Placement | undefined>();
  let known: ReadonlyMap<string, InstanceId> | undefined;
  const closed = [...after.instances.values()].filter((one) => isUsable(one) && !candidates.includes(one));
  const placeOfGroup = (group: string): Placement | undefined => {
    const key = `g${group}`;
    const first = name === 'rendezvous' ? undefined : balancer(candidates, key, load);
    const order = byRendezvous(candidates, key);
    if (first !== undefined) order.unshift(...order.splice(order.indexOf(first), 1));
    known ??= placesOfGroups(staying, groupOf);
    const places = order.map((one) => ({
      ...placementAt(one),
      weight: one.weight,
      most: maxAgents.get(one.id) ?? 0,
    }));
    return placeInGroup(
      {
        name: group,
        size: 0,
        places,
        closed: closed.map(placementAt),
        isByLoad: name === 'least-bound',
        known: known.get(group),
      },
      { held: undefined, others: [], bound: (id) => counts.get(id) ?? 0, isOccupied: () => true },
    );
  };
  return (binding) => {
    const group = groupOf(binding);
    if (group === undefined)
      return balancer(withRoom(candidates, load, maxAgents), storedKey(binding.root), load)?.id;
    if (!groups.has(group)) groups.set(group, placeOfGroup(group));
    return groups.get(group)?.instance;
  };
}

/** Where each group has members. */
function placesOfGroups(
  staying: readonly Binding[],
  groupOf: WhatIfPool['groupOf'],
): ReadonlyMap<string, InstanceId> {
  const places = new Map<string, InstanceId>();
  for (const binding of staying) {
    const group = groupOf(binding);
    if (group !== undefined && !places.has(group)) places.set(group, binding.instance);
  }
  return places;
}

function serves({ instances, mode, active }: View, id: InstanceId): boolean {
  const instance = instances.get(id);
  return instance !== undefined && isUsable(instance) && (mode === 'sticky' || active === id);
}

function sharesOf(candidates: readonly InstanceState[]): ReadonlyMap<InstanceId, number> {
  const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
  return new Map(candidates.map(({ id, weight }) => [id, total === 0 ? 0 : weight / total]));
}

function add(counts: Map<InstanceId, number>, id: InstanceId, by: number): void {
  counts.set(id, (counts.get(id) ?? 0) + by);
}
