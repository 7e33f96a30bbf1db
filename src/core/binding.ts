import type { Ruling } from './evidence.ts';
import type { Name } from './identity.ts';
import type { InstanceId } from './instance.ts';

/** An instance and its incarnation: the memory in which an agent's calls are kept. */
export interface Placement {
  readonly instance: InstanceId;
  /** `''` if the incarnation is not known; a restart does not end such a placement. */
  readonly incarnation: string;
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
}
