import type { GroupPlace, GroupProposal, Placement } from './binding.ts';
import type { InstanceId } from './instance.ts';

/** Where a store has a group. */
export interface HeldGroup {
  readonly instance: InstanceId;
  /** The agents that it is known to have, or that came so far, whichever is more. */
  readonly size: number;
}

/** The groups that a store has at one instance. A group counts until its members have been away for a lifetime. */
export interface GroupsThere {
  readonly groups: number;
  /** The sum of their sizes. */
  readonly agents: number;
  /** Of several equal ones, the first by name; `undefined` without groups. */
  readonly largest: { readonly name: string; readonly agents: number } | undefined;
}

export const NO_GROUPS: GroupsThere = { groups: 0, agents: 0, largest: undefined };

/** Sums up where groups are. affinity/redis/held-groups.lua does the same. */
export function groupsByInstance(
  groups: Iterable<readonly [name: string, held: HeldGroup]>,
): Map<InstanceId, GroupsThere> {
  const there = new Map<InstanceId, GroupsThere>();
  for (const [name, { instance, size: agents }] of groups) {
    const { groups: number = 0, agents: sum = 0, largest } = there.get(instance) ?? {};
    const isLargest =
      largest === undefined || agents > largest.agents || (agents === largest.agents && name < largest.name);
    there.set(instance, {
      groups: number + 1,
      agents: sum + agents,
      largest: isLargest ? { name, agents } : largest,
    });
  }
  return there;
}

/** What a store knows when it places an agent of a group. */
export interface GroupState {
  /** Where the group is; `undefined` if the store does not know it. */
  readonly held: HeldGroup | undefined;
  /** Where the other groups of the pool are. */
  readonly others: Iterable<HeldGroup>;
  readonly bound: (instance: InstanceId) => number;
  /** Is a member of the group bound to the placement, apart from the agent who is to be placed? */
  readonly isOccupied: (placement: Placement) => boolean;
}

/**
 * Decides where an agent of a group is placed: where its members are. A group without a bound member is placed again, as
 * a whole. affinity/redis/groups.lua does the same.
 *
 * An instance that takes no new agents takes those of a group that has members there, because the others could not see
 * them elsewhere. So a drain takes as long as the last member of such a group is logged on.
 */
export function placeInGroup(proposal: GroupProposal, state: GroupState): Placement | undefined {
  const best = bestPlace(proposal, state);
  const here = placementOf(proposal, state.held?.instance ?? proposal.known);
  if (here === undefined || here.instance === best?.instance) return best;
  return state.held === undefined || state.isOccupied(here) ? here : best;
}

function placementOf({ places, closed }: GroupProposal, id: InstanceId | undefined): Placement | undefined {
  const isIt = ({ instance }: Placement): boolean => instance === id;
  return places.find(isIt) ?? closed.find(isIt);
}

/** The preferred place among those with room for the whole group; without one, the place with most room. */
function bestPlace(proposal: GroupProposal, { held, others, bound }: GroupState): Placement | undefined {
  const expected = new Map<InstanceId, number>();
  for (const { instance, size } of others) expected.set(instance, (expected.get(instance) ?? 0) + size);
  const size = Math.max(1, proposal.size, held?.size ?? 0);
  let best: GroupPlace | undefined;
  let bestRoom = Number.NEGATIVE_INFINITY;
  let bestShare = Number.POSITIVE_INFINITY;
  for (const place of proposal.places) {
    // Members who have not come yet count too; the bound agents of groups are among both numbers.
    const load = Math.max(bound(place.instance), expected.get(place.instance) ?? 0) + size;
    const room = place.most === 0 ? 0 : Math.min(0, place.most - load);
    const share = proposal.isByLoad ? load / place.weight : 0;
    if (room > bestRoom || (room === bestRoom && share < bestShare)) {
      best = place;
      bestRoom = room;
      bestShare = share;
    }
  }
  return best;
}
