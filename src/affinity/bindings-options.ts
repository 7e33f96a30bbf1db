import type { AgentGroups } from '../core/agent-groups.ts';
import type { Binding, Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { AffinityStore } from '../core/ports.ts';
import type { BindingCache } from './binding-cache.ts';
import type { StoreOutcome } from './store-outcome.ts';

export interface BindingsEvents {
  /** One of these names led to `was`. From now on the agent is served by `now`. */
  onConflict(names: readonly Name[], was: Placement, now: Placement): void;
  /** This gateway placed or moved an agent while the store was away. The agent's other names are `aliases`. */
  onDecidedAlone?(binding: Binding, aliases: readonly Name[]): void;
  /** Several users alternate on this session, so it names no agent. */
  onShared(session: Name): void;
  /** So many names on probation gave way to a new one. */
  onReplaced(names: number): void;
  /** This gateway moved a binding, because its instance or incarnation was gone. */
  onRebound(): void;
  onOperation(operation: string, outcome: StoreOutcome, seconds: number): void;
}

export interface BindingsOptions {
  readonly store: AffinityStore;
  /** The name of this gateway, which the store keeps with the bindings that it makes. */
  readonly gateway: string;
  readonly cache: BindingCache;
  /**
   * True if a session that was seen alone may turn out to belong to an agent bound elsewhere. The store is then asked
   * about such a binding on every request, because only the store knows whether a user was seen with it.
   */
  readonly sessionsAreProvisional: boolean;
  /** Who belongs to which group; `undefined` if no agent belongs to one. */
  readonly groups?: AgentGroups | undefined;
  /** False if no log-off is configured here, so that nothing tells of requests under way. True by default. */
  readonly hasLogOffs?: boolean;
  /** How late news of a log-off may be, before this gateway knows that it misses news. Default: 2 s. */
  readonly newsWithinMs?: number;
  /** The epoch of the newest agreed view that is known here, whether or not it is in effect. */
  readonly epoch: () => number;
  readonly events: BindingsEvents;
}
