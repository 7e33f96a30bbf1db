import { ActRefused } from '../core/act-refused.ts';
import type { Binding } from '../core/binding.ts';
import type { InstanceId } from '../core/instance.ts';
import { placementAt } from '../core/view/view.ts';
import type { AgentName } from './binding-change.ts';
import { bindingOf, changeBinding, requireSticky } from './binding-change.ts';
import type { Act } from './pool-acts.ts';
import { instanceOf } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';

// The new instance serves the agent during this time, so it may be long.
const MOVE_MS = 60_000;

/**
 * Moves one agent to another instance and resolves to the agent's binding.
 *
 * @throws ActRefused
 * @throws StoreUnavailable
 */
export async function moveAgent(
  pool: PoolSource,
  agent: AgentName,
  to: InstanceId,
  act: Act,
): Promise<Binding> {
  requireSticky(pool);
  const check = (): void => requireAssignable(pool, to);
  check();
  const bound = await bindingOf(pool, agent);
  if (bound.instance === to) throw new ActRefused(409, `${agent.shown} is already bound to ${to}`);
  const cause = { kind: 'moved', by: act.by, why: act.why } as const;
  return changeBinding(pool, agent, bound, act, {
    kind: 'moved',
    to,
    lastsMs: MOVE_MS,
    noun: 'the move',
    check,
    run: async (expected, fencingToken) => {
      const proposal = { ...placementAt(instanceOf(pool, to)), cause };
      const { binding } = await pool.bindings.rebind([agent.name], expected, proposal, fencingToken);
      // A request of the agent may have moved the binding there first.
      return binding.instance === to ? { result: binding } : { holds: binding };
    },
  });
}

function requireAssignable(pool: PoolSource, id: InstanceId): void {
  const { admin, health, quarantined, weight } = instanceOf(pool, id);
  const { assignable } = pool.operations.routingState.view;
  if (assignable.some((instance) => instance.id === id)) return;
  const reasons = [
    health === 'up' ? undefined : `is ${health}`,
    admin === 'enabled' ? undefined : `is ${admin}`,
    weight > 0 ? undefined : 'has weight 0',
    quarantined ? 'is in quarantine; release it first' : undefined,
  ].filter((reason) => reason !== undefined);
  throw new ActRefused(409, `${id} takes no agents: it ${reasons.join(' and ')}`);
}
