import type { InstanceId } from '../instance.ts';
import type { AgentMove } from './agreed-view.ts';
import type { RequestedConfig } from './config-parts.ts';
import type { AdminAct, Failback, Policy, RequestedRebalance } from './policy.ts';

/** Operators' decisions as functions from the present policy to the next. The caller sets the version. */

export function withAdmin(policy: Policy, instance: InstanceId, act: AdminAct): Policy {
  return { ...policy, instances: { ...policy.instances, [instance]: act } };
}

/** @param id unique, so that the same request is never carried out twice */
export function withActive(policy: Policy, instance: InstanceId, id: string): Policy {
  return { ...policy, activate: { id, instance } };
}

/** Takes effect at once, even if an operator activated an instance before. */
export function withFailback(policy: Policy, failback: Failback): Policy {
  return { ...policy, failback, failbackBy: 'operator', activate: undefined };
}

/** @param quarantinedAt the quarantine to end; one that starts later is not affected */
export function withRelease(policy: Policy, instance: InstanceId, quarantinedAt: number): Policy {
  return { ...policy, released: { ...policy.released, [instance]: quarantinedAt } };
}

export function withRebalance(policy: Policy, rebalance: RequestedRebalance): Policy {
  return { ...policy, rebalance };
}

/** Asks all gateways to act by this configuration. */
export function withRequestedConfig(policy: Policy, config: RequestedConfig): Policy {
  return { ...policy, config };
}

/** Starts moving the agent to another instance. An agent has one move at a time, so an earlier one ends. */
export function withMove(policy: Policy, move: AgentMove, now: number): Policy {
  const others = policy.moves.filter(({ key, until }) => key !== move.key && now < until);
  return { ...policy, moves: [...others, move] };
}

/** Removes a move that is done or given up. Another move of the same agent stays. */
export function withoutMove(policy: Policy, move: AgentMove, now: number): Policy {
  return { ...policy, moves: policy.moves.filter((one) => now < one.until && !isSameMove(one, move)) };
}

export function isSameMove(a: AgentMove, b: AgentMove): boolean {
  return a.key === b.key && a.to === b.to && a.until === b.until;
}
