import { byRendezvous, rendezvous, withRoom } from '../core/balancers.ts';
import type { Group, GroupProposal, Placement, Proposal } from '../core/binding.ts';
import type { Names } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import { isUsable } from '../core/instance.ts';
import type { Rebalance } from '../core/rebalance.ts';
import { allows, isDraining } from '../core/target.ts';
import { decodeHeaderValue } from '../core/user-name.ts';
import { placementAt } from '../core/view/view.ts';
import type { Pool } from './pool.ts';
import type { RoutedRequest } from './request-context.ts';

/** The group of a request's agent. */
export function groupOf(
  { groups }: Pool,
  { user, raw }: Pick<RoutedRequest, 'user' | 'raw'>,
): Group | undefined {
  if (groups === undefined) return undefined;
  const sent = groups.header === undefined ? undefined : raw.headers[groups.header];
  return groups.of(user, typeof sent === 'string' ? decodeHeaderValue(sent) : undefined);
}

/** Proposes an instance for an agent of the group; the store decides by the same information where the group is. */
export function proposeInGroup(pool: Pool, group: Group): Proposal | undefined {
  const { routingState, balancer, load, maxAgents } = pool;
  const { view, candidates } = routingState;
  const key = keyOf(group);
  const first = pool.balancerName === 'rendezvous' ? undefined : balancer(candidates, key, load);
  const order = byRendezvous(candidates, key);
  if (first !== undefined) order.unshift(...order.splice(order.indexOf(first), 1));
  const known = knownPlace(pool, group);
  const proposed = order[0] ?? (known === undefined ? undefined : view.instances.get(known));
  if (proposed === undefined) return undefined;
  const proposal: GroupProposal = {
    ...group,
    places: order.map((one) => ({
      ...placementAt(one),
      weight: one.weight,
      most: maxAgents.get(one.id) ?? 0,
    })),
    closed: [...view.instances.values()]
      .filter((one) => isUsable(one) && !candidates.includes(one))
      .map(placementAt),
    isByLoad: pool.balancerName === 'least-bound',
    known,
  };
  return { ...placementAt(proposed), group: proposal };
}

/**
 * Where to place an agent of the group without the store: where its members are, as far as this gateway knows, and else
 * by rendezvous of the group, so that all gateways choose alike.
 */
export function groupPlaceAlone(pool: Pool, group: Group): Placement | undefined {
  const { view, candidates } = pool.routingState;
  const known = knownPlace(pool, group);
  const chosen = known === undefined ? rendezvous(candidates, keyOf(group)) : view.instances.get(known);
  return chosen && placementAt(chosen);
}

/** Proposes an instance for a new agent without a group. */
export function proposeNew({ routingState, balancer, load, maxAgents }: Pool, key: string) {
  return balancer(withRoom(routingState.candidates, load, maxAgents), key, load);
}

/** Only then is it worth knowing whether the request is a log-on, if these are configured: it may move the agent. */
export function logonMayMove(pool: Pool, names: Names): boolean {
  if (isDraining(pool.routingState.view)) return true;
  if (!canRebalance(pool)) return false;
  // An agent who is known here, and has not logged off, stays.
  const known = pool.bindings.findFor(names);
  return known === undefined || known.isEnding;
}

/** May agents of the pool move as they log on again? Only where it is known who has logged off, and who logs on. */
export function canRebalance({
  mode,
  rebalancesAlways = false,
  routingState,
  operations,
  heard,
}: Pool): boolean {
  if (mode !== 'sticky' || heard === undefined) return false;
  if (!(rebalancesAlways || routingState.view.rebalances === true)) return false;
  return operations.haveLogon && operations.haveLogoff;
}

/** How the agent who logs on may move. */
export function rebalanceIn({ routingState, heard }: Pool): Rebalance | undefined {
  const weights = Object.fromEntries(routingState.view.assignable.map(({ id, weight }) => [id, weight]));
  return heard && { weights, ...heard };
}

function knownPlace({ bindings, routingState }: Pool, { name }: Group): InstanceId | undefined {
  return bindings.placeOf(name, (binding) => allows(routingState.view, binding));
}

/** No key of a name begins with this letter. */
function keyOf({ name }: Group): string {
  return `g${name}`;
}
