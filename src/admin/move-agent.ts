import type { Binding } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import { StaleView, StoreUnavailable } from '../core/ports.ts';
import type { Moving } from '../core/view/agreed-view.ts';
import { withMove, withoutMove } from '../core/view/policy-changes.ts';
import { placementAt } from '../core/view/view.ts';
import type { Act } from './pool-acts.ts';
import { ActRefused, event, instanceOf, takesEffect } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';

/** One agent, under the name that the operator gave. */
export interface AgentName {
  readonly name: Name;
  /** As it may be logged. */
  readonly shown: string;
  /** The key of a name in stored form. */
  readonly keyOf: (name: Name) => string;
}

// For that long at most the agent may be served by nobody but his new instance, should this gateway die meanwhile.
const MOVE_MS = 60_000;
// Each time a view changed, or somebody else moved him, in between.
const MOST_TRIES = 5;

/**
 * Moves one agent to another instance and resolves to his binding.
 *
 * A binding moves only when the epoch moves, so that gateways may trust what they
 * know of it. So the move is decreed first; once every gateway refuses him at the
 * old instance, the binding is moved; then the decree is taken back.
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
  demandsAssignable(pool, to);
  const bound = await pool.bindings.lookup([agent.name]);
  if (bound === undefined)
    throw new ActRefused(
      404,
      `${agent.shown} is not bound; whoever has no binding gets one at his next request`,
    );
  if (bound.instance === to) throw new ActRefused(409, `${agent.shown} is bound to ${to} already`);

  const { storeNow } = operations;
  const key = agent.keyOf(bound.root);
  const move: Moving = { key, from: bound.instance, to, until: storeNow + MOVE_MS };
  const why = `${agent.shown}: ${act.why}`;
  await operations.commitPolicy(
    (policy) => {
      const other = policy.moves.find((one) => one.key === key && storeNow < one.until);
      if (other === undefined) return withMove(policy, move, storeNow);
      throw new ActRefused(409, `${agent.shown} is on his way to ${other.to} already; try again in a minute`);
    },
    [{ ...event('moved', { ...act, why }), instance: to, from: bound.instance, to }],
  );
  try {
    return await rebind(pool, agent, bound, move);
  } finally {
    // Should the store be away, it ends by itself.
    await operations
      .commitPolicy((policy) => withoutMove(policy, move, operations.storeNow), [])
      .catch((error: unknown) => {
        if (!(error instanceof StoreUnavailable)) throw error;
      });
  }
}

async function rebind(pool: PoolSource, agent: AgentName, bound: Binding, move: Moving): Promise<Binding> {
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
    demandsAssignable(pool, move.to);
    try {
      const proposal = placementAt(instanceOf(pool, move.to));
      const { binding } = await bindings.rebind(
        [agent.name],
        expected,
        proposal,
        operations.routingState.fencingToken,
      );
      // A request of his may have taken him there first.
      if (binding.instance === move.to) return binding;
      expected = binding;
    } catch (error) {
      if (!(error instanceof StaleView)) throw error;
      await operations.renew();
    }
  }
  throw new ActRefused(
    409,
    `the view changed during each of ${MOST_TRIES} tries to move ${agent.shown}; try again`,
  );
}

function demandsAssignable(pool: PoolSource, id: InstanceId): void {
  const { admin, health, quarantined, weight } = instanceOf(pool, id);
  const { assignable } = pool.operations.routingState.view;
  if (assignable.some((instance) => instance.id === id)) return;
  const reasons = [
    health === 'up' ? '' : `is ${health}`,
    admin === 'enabled' ? '' : `is ${admin}`,
    weight > 0 ? '' : 'has weight 0',
    quarantined ? 'is in quarantine; release it first' : '',
  ].filter((reason) => reason !== '');
  throw new ActRefused(409, `${id} takes no agents: it ${reasons.join(' and ')}`);
}
