import type { CachedBinding } from '../core/agent-bindings.ts';
import type { Name } from '../core/identity.ts';
import type { RoutedBinding } from '../core/route.ts';

/** Where a request may go now, and by what: the agent's binding, or as those go that need none. */
export interface Target extends RoutedBinding {
  /** The name that holds the binding, if there is one. */
  readonly root: Name | undefined;
  readonly entry: CachedBinding | undefined;
}
