import { ActRefused } from '../core/act-refused.ts';
import type { Binding } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import { StaleView, StoreUnavailable } from '../core/ports.ts';
import type { AgentMove } from '../core/view/agreed-view.ts';
import { withMove, withoutMove } from '../core/view/policy-changes.ts';
import { placementAt } from '../core/view/view.ts';
import type { Act } from './pool-acts.ts';
import { event, instanceOf, takesEffect } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';

/** One agent, under the name that the operator entered. */
export interface AgentName {
  readonly name: Name;
  /** The form that may be logged. */
  readonly shown: string;
  /** The key of the name's stored form. */
  readonly keyOf: (name: Name) => string;
}

// If this gateway crashes during the move, only the new instance may serve the agent for at most this time.
const MOVE_MS = 60_000;
// A try fails if the view changed, or another operator moved the agent, in between.
const MOST_TRIES = 5;

/**
 * Moves one agent to another instance and resolves to the agent's binding.
 *
 * A binding moves only when the epoch moves, so that gateways may trust what they
 * know of it. So the move is first written into the policy. Once every gateway refuses
 * the agent at the old instance, the binding moves; then the policy entry is removed.
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
  const { operations } = pool;
  if (pool.mode !== 'sticky')
    throw new ActRefused(
      409,
      `pool ${pool.name} is failover: all its agents are at the active instance together`,
    );
  requireAssignable(pool, to);
  const bound = await pool.bindings.lookup([agent.name]);
  if (bound === undefined)
    throw new ActRefused(
      404,
      `${agent.shown} is not bound; an agent without a binding gets one at the next request`,
    );
  if (bound.instance === to) throw new ActRefused(409, `${agent.shown} is already bound to ${to}`);

  const { storeNow } = operations;
  const key = agent.keyOf(bound.root);
  const move: AgentMove = { key, from: bound.instance, to, until: storeNow + MOVE_MS };
  const why = `${agent.shown}: ${act.why}`;
  await operations.commitPolicy(
    (policy) => {
      const other = policy.moves.find((one) => one.key === key && storeNow < one.until);
      if (other === undefined) return withMove(policy, move, storeNow);
      throw new ActRefused(
        409,
        `${agent.shown} is already being moved to ${other.to}; try again in a minute`,
      );
    },
    [{ ...event('moved', { ...act, why }), instance: to, from: bound.instance, to }],
  );
  try {
    return await rebind(pool, agent, bound, move);
  } finally {
    // If the store is away, the entry expires by itself.
    await operations
      .commitPolicy((policy) => withoutMove(policy, move, operations.storeNow), [])
      .catch((error: unknown) => {
        if (!(error instanceof StoreUnavailable)) throw error;
      });
  }
}

async function rebind(pool: PoolSource, agent: AgentName, bound: Binding, move: AgentMove): Promise<Binding> {
  const { operations, bindings } = pool;
  let expected = bound;
  for (let attempt = 0; attempt < MOST_TRIES; attempt += 1) {
    const isInEffect = await takesEffect(
      operations,
      () =>
        operations.routingState.fencingToken !== '' &&
        operations.agreed.moving.some(({ key, to }) => key === move.key && to === move.to),
    );
    if (!isInEffect)
      throw new ActRefused(
        409,
        `not every gateway has acknowledged the move of ${agent.shown} in time; see the replicas in /status, and try again`,
      );
    requireAssignable(pool, move.to);
    try {
      const proposal = placementAt(instanceOf(pool, move.to));
      const { binding } = await bindings.rebind(
        [agent.name],
        expected,
        proposal,
        operations.routingState.fencingToken,
      );
      // A request of the agent may have moved the binding there first.
      if (binding.instance === move.to) return binding;
      expected = binding;
    } catch (error) {
      if (!(error instanceof StaleView)) throw error;
      await operations.renew();
    }
  }
  throw new ActRefused(
    409,
    `the view changed during each of ${MOST_TRIES} attempts to move ${agent.shown}; try again`,
  );
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
