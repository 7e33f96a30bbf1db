import type { Claim } from './binding.ts';
import { leadsTo } from './evidence.ts';
import type { RequestName } from './identity.ts';
import type { InstanceId } from './instance.ts';

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

/** The session that turned out to be shared by several users, so that it names no agent. */
export function sharedSession(names: readonly RequestName[], { by }: Claim): RequestName | undefined {
  const session = names[1];
  return by === 'user' && session?.found !== true ? session : undefined;
}
