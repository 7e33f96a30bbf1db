import type { Binding, Claim } from '../core/binding.ts';
import { leadsTo } from '../core/evidence.ts';
import type { Name, RequestName } from '../core/identity.ts';
import { nameKey } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import { storedKey } from '../core/stored-name.ts';
import type { BindingCache } from './binding-cache.ts';

/** The names that lead to the claimed binding. */
export function leading(names: readonly RequestName[], { by }: Claim): readonly RequestName[] {
  if (by === undefined || names.length === 1) return names;
  const leads = leadsTo(by);
  return names.filter(({ kind }) => (kind === 'session' ? leads.session : leads.user));
}

/**
 * The instance to which the losing name leads, if that name may be another agent's. `undefined` if one and the same
 * agent was bound to two instances.
 */
export function passedOver(names: readonly RequestName[], { by, conflict }: Claim): InstanceId | undefined {
  // `take`: the user's binding that lost came from a body, so it may be another agent's.
  return by === 'take' || names.some(({ found }) => found === true) ? conflict?.instance : undefined;
}

/** The names that are known to lead to the binding; other names of the request may be another agent's. */
export function leadingTo(cache: BindingCache, { root }: Binding, names: readonly Name[]): readonly Name[] {
  const key = storedKey(root);
  return names.filter(({ kind, value }) => cache.get(nameKey(kind, value))?.key === key);
}

/** The alias that an agent gives up for a new one. */
export function oldestAlias(cache: BindingCache, [user, session]: readonly Name[]): Name | undefined {
  return user === undefined || session === undefined ? undefined : cache.oldestAlias(storedKey(user));
}
