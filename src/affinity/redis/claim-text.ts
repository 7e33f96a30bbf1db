import type { GroupProposal } from '../../core/binding.ts';
import { rulingsFor } from '../../core/evidence.ts';
import type { RequestName } from '../../core/identity.ts';
import { namedBy } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type { Rebalance } from '../../core/rebalance.ts';
import { packableGroup } from '../packing.ts';

/** A name on probation that is reserved for a claim, and since when it is. */
export type Place = readonly [field: string, since: string];
/** ARGV[6] of a claim. */
export type ClaimText = (places: readonly Place[]) => string;

/** The rulings for each way in which a request can name its agent, computed once. */
const rulings = new Map<string, string>();

function rulingsOf(names: readonly RequestName[]): string {
  const named = namedBy(names);
  const key = `${named.user} ${named.session}`;
  let letters = rulings.get(key);
  if (letters === undefined) {
    letters = rulingsFor(named);
    rulings.set(key, letters);
  }
  return letters;
}

/** What few claims have. */
export interface MoreOfClaim {
  readonly oldest: string | undefined;
  readonly group: GroupProposal | undefined;
  readonly leaves: readonly InstanceId[] | undefined;
  readonly rebalance: Rebalance | undefined;
}

export function claimText(
  names: readonly RequestName[],
  maxBindings: number,
  { oldest, group: proposed, leaves, rebalance }: MoreOfClaim,
): ClaimText {
  const head = `${rulingsOf(names)}|${maxBindings}|`;
  const isBare = (oldest ?? proposed ?? leaves ?? rebalance) === undefined;
  const group = proposed && groupText(proposed);
  return (places) => {
    if (isBare && places.length === 0) return head;
    const reserved = places.length === 0 ? undefined : places;
    return head + JSON.stringify({ oldest, group, leaves, rebalance, places: reserved });
  };
}

/** A group as scripts read it. */
export function groupText(group: GroupProposal): object {
  return { ...packableGroup(group), isLimited: group.places.some(({ most }) => most > 0) };
}

/** ARGV[6] of a rebind. */
export function rebindText(generation: number, group: GroupProposal | undefined): string {
  return group === undefined ? String(generation) : `${generation}|${JSON.stringify(groupText(group))}`;
}
