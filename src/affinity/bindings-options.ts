import type { Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { AffinityStore } from '../core/ports.ts';
import type { BindingCache } from './binding-cache.ts';
import type { StoreOutcome } from './store-outcome.ts';

export interface BindingsEvents {
  /** An agent had been served by `was` under one of these names, and from now on is by `now`. */
  onConflict(names: readonly Name[], was: Placement, now: Placement): void;
  /** Users took turns with this session, so it does not tell who they are. */
  onShared(session: Name): void;
  /** A binding was moved from here, because its instance or incarnation was gone. */
  onRebound(): void;
  onOperation(operation: string, outcome: StoreOutcome, seconds: number): void;
}

export interface BindingsOptions {
  readonly store: AffinityStore;
  readonly cache: BindingCache;
  /**
   * True where a session that was seen alone may turn out to be an agent's who is
   * bound elsewhere. Such a binding is then asked for every time: nothing but the
   * store can tell that the user has been seen with it.
   */
  readonly sessionsAreProvisional: boolean;
  /** The epoch of the newest agreed view that is known here, whether or not it is acted on. */
  readonly epoch: () => number;
  readonly events: BindingsEvents;
}
