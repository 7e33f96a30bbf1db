import type { Ruling } from './evidence.ts';
import type { Name } from './identity.ts';
import type { InstanceId } from './instance.ts';

/** An instance in one of its lives: where an agent's calls are kept in memory. */
export interface Placement {
  readonly instance: InstanceId;
  /** `''` where the incarnation is not known; such a placement never ends by a restart. */
  readonly incarnation: string;
}

/** The stored fact: an identity belongs to an instance. */
export interface Binding extends Placement {
  /** The name that holds the binding; all other names of the agent point to it. */
  readonly root: Name;
  /** Grows by one with every move. A change that expects an older one is refused. */
  readonly generation: number;
}

/** What a claim came to. */
export interface Claim {
  readonly binding: Binding;
  /** True for the one caller whose proposal became the binding. */
  readonly made: boolean;
  /**
   * Set where the names of the request were bound to two places: the place that
   * the request does not go to.
   */
  readonly conflict?: Placement;
  /** What was done with the names of a claim; `undefined` for a step that bears one name. */
  readonly by?: Ruling;
}
