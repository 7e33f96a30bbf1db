import type { Claim } from '../core/binding.ts';
import { leadsTo } from '../core/evidence.ts';
import type { RequestName } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';

/** The names of a claim that lead to what it came to. */
export function leading(names: readonly RequestName[], { by }: Claim): readonly RequestName[] {
  if (by === undefined || names.length === 1) return names;
  const leads = leadsTo(by);
  return names.filter(({ kind }) => (kind === 'session' ? leads.session : leads.user));
}

/** Where a name leads that does not decide and may be another agent's; `undefined` where one agent was at two instances. */
export function passedOver(names: readonly RequestName[], { by, conflict }: Claim): InstanceId | undefined {
  // A user whose binding gave way to that of the session had only been found before.
  return by === 'take' || names.some(({ found }) => found === true) ? conflict?.instance : undefined;
}
