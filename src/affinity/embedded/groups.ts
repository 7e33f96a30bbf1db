import type { GroupProposal, Placement } from '../../core/binding.ts';
import type { GroupsThere, HeldGroup } from '../../core/groups.ts';
import { groupsByInstance, placeInGroup } from '../../core/groups.ts';
import type { InstanceId } from '../../core/instance.ts';
import type { EmbeddedTables } from './tables.ts';

interface Held extends HeldGroup {
  size: number;
  /** The root fields of the members who came since the group was placed. */
  readonly members: Set<string>;
  end: number;
}

/**
 * Where the groups of a pool are; see affinity/redis/groups.lua. Only in memory: after a restart, the workers know from
 * the bindings where the members are.
 */
export class EmbeddedGroups {
  readonly #held = new Map<string, Held>();

  /** How many of them are at each instance. */
  byInstance(now: number): ReadonlyMap<InstanceId, GroupsThere> {
    this.#forgetEnded(now);
    return groupsByInstance(this.#held);
  }

  /**
   * Where to place the agent with the root field `asked`.
   *
   * @param leaving where the agent is bound who may leave
   */
  place(
    tables: EmbeddedTables,
    proposal: GroupProposal,
    { asked, leaving, now }: { readonly asked: string; readonly leaving?: InstanceId; readonly now: number },
  ): Placement | undefined {
    this.#forgetEnded(now);
    const held = this.#held.get(proposal.name);
    const counts = tables.counts(now);
    return placeInGroup(proposal, {
      held,
      others: [...this.#held.values()].filter((one) => one !== held),
      bound: (instance) => (counts.get(instance) ?? 0) - (instance === leaving ? 1 : 0),
      isOccupied: (placement) => {
        for (const field of held?.members ?? [])
          if (field !== asked && isThere(tables, field, placement, now)) return true;
        return false;
      },
    });
  }

  /** Is the group at this instance, as far as it is known? */
  isAt({ name, known }: GroupProposal, instance: InstanceId): boolean {
    return (this.#held.get(name)?.instance ?? known) === instance;
  }

  /** Notes that the agent is bound to the instance. One who is bound elsewhere than the group changes nothing. */
  note({ name, size }: GroupProposal, field: string, instance: string, isPlaced: boolean, end: number): void {
    let held = this.#held.get(name);
    if (held?.instance !== instance) {
      if (!isPlaced) return;
      held = { instance, size, members: new Set(), end };
      this.#held.set(name, held);
    }
    held.members.add(field);
    held.size = Math.max(size, held.members.size);
    held.end = end;
  }

  #forgetEnded(now: number): void {
    for (const [name, { end }] of this.#held) if (end <= now) this.#held.delete(name);
  }
}

function isThere(
  tables: EmbeddedTables,
  field: string,
  { instance, incarnation }: Placement,
  now: number,
): boolean {
  const { field: root, root: entry } = tables.resolve(field, now);
  if (root !== field || entry?.instance !== instance) return false;
  return incarnation === '' || entry.incarnation === '' || entry.incarnation === incarnation;
}
