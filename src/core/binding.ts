import type { Ruling } from './evidence.ts';
import type { Name } from './identity.ts';
import type { InstanceId } from './instance.ts';
import type { Cause } from './origin.ts';

/** An instance and its incarnation: the memory in which an agent's calls are kept. */
export interface Placement {
  readonly instance: InstanceId;
  /** `''` if the incarnation is not known; a restart does not end such a placement. */
  readonly incarnation: string;
}

/** Agents who see each other's presence, and so share an instance. */
export interface Group {
  readonly name: string;
  /** The agents that it is known to have; 0 if only names of users or a header tell who belongs to it. */
  readonly size: number;
}

/** An instance that takes new agents. */
export interface GroupPlace extends Placement {
  readonly weight: number;
  /** The most agents it should have; 0 without a limit. */
  readonly most: number;
}

/** What a store needs to place an agent of a group. */
export interface GroupProposal extends Group {
  /** The assignable instances, in the order in which the balancer prefers them. */
  readonly places: readonly GroupPlace[];
  /** The usable instances that take no new agents. */
  readonly closed: readonly Placement[];
  /** Prefer the instance with the fewest agents for its weight, not the first one. */
  readonly isByLoad: boolean;
  /** Where the caller knows members of the group. Counts only if the store does not know where the group is. */
  readonly known?: InstanceId | undefined;
}

/** A placement that the caller of a store proposes. */
export interface Proposal extends Placement {
  /** Why; the store keeps it with the binding. Missing in messages from processes of an earlier release. */
  readonly cause?: Cause | undefined;
  /** The name of the gateway that proposes it. */
  readonly gateway?: string;
  /** The group of the agent: it decides about the placement, see `placeInGroup` in core/groups.ts. */
  readonly group?: GroupProposal | undefined;
}

/** The stored fact that an identity belongs to an instance. */
export interface Binding extends Placement {
  /** The name that holds the binding; the agent's other names point to it. */
  readonly root: Name;
  /** Grows by one with every move. A change that expects an older one is refused. */
  readonly generation: number;
}

/** The result of a claim. */
export interface Claim {
  readonly binding: Binding;
  /** True for the one caller whose proposal became the binding. */
  readonly made: boolean;
  /** The other placement, if the names of the request were bound to two: the one that the request does not go to. */
  readonly conflict?: Placement;
  /** What a claim did with the names; `undefined` for steps with a single name. */
  readonly by?: Ruling;
  /** A name of it is on probation, so its next request must renew it: otherwise a new name can take its place. */
  readonly isNew?: true;
  /** Names on probation that gave way, because the pool has as many names as it may have. */
  readonly replaced?: readonly Name[];
}
