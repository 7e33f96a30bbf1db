import type { InstanceId } from '../instance.ts';
import type { AgentMove } from './agreed-view.ts';
import type { RequestedConfig } from './config-parts.ts';
import type { AdminAct, Failback, Policy } from './policy.ts';

/**
 * What operators can decide, as functions from the policy that holds to the next
 * one. Whoever writes it gives it its version.
 */

export function withAdmin(policy: Policy, instance: InstanceId, act: AdminAct): Policy {
  return { ...policy, instances: { ...policy.instances, [instance]: act } };
}

/** @param id unique, so that a wish that was carried out once is not carried out again */
export function withActive(policy: Policy, instance: InstanceId, id: string): Policy {
  return { ...policy, activate: { id, instance } };
}

/** It holds from now on, also for an instance that an operator wanted active before. */
export function withFailback(policy: Policy, failback: Failback): Policy {
  return { ...policy, failback, failbackBy: 'operator', activate: undefined };
}

/** @param quarantinedAt the quarantine that is meant: one that begins later is not ended by this */
export function withRelease(policy: Policy, instance: InstanceId, quarantinedAt: number): Policy {
  return { ...policy, released: { ...policy.released, [instance]: quarantinedAt } };
}

/** All gateways are to act by this configuration. */
export function withRequestedConfig(policy: Policy, config: RequestedConfig): Policy {
  return { ...policy, config };
}

/** The agent's way to another instance begins. There is one way for an agent: an earlier one is over. */
export function withMove(policy: Policy, move: AgentMove, now: number): Policy {
  const others = policy.moves.filter(({ key, until }) => key !== move.key && now < until);
  return { ...policy, moves: [...others, move] };
}

/** The move is done, or given up. Another move of the same agent is left alone. */
export function withoutMove(policy: Policy, move: AgentMove, now: number): Policy {
  const isOver = ({ key, to, until }: AgentMove): boolean =>
    now >= until || (key === move.key && to === move.to && until === move.until);
  return { ...policy, moves: policy.moves.filter((one) => !isOver(one)) };
}
