import type { InstanceId } from './instance.ts';
import type { Target } from './target.ts';
import { allows, movesTo } from './target.ts';
import { NOWHERE } from './view/agreed-view.ts';
import type { RoutingState } from './view/routing-state.ts';
import type { View } from './view/view.ts';

/**
 * Must a request that was sent to this target be given up? Until it is answered, the network may still hold it, and may
 * deliver it after its agent was moved to another instance. This is checked after every change of the routing state,
 * before the other replicas learn that this one has adopted it.
 *
 * - The view says that the instance is down, and another may serve its agents: yes.
 * - Only this replica cannot reach the instance: yes.
 * - The lease has ended, so others may have moved the agent unnoticed; or the view sends the agent elsewhere although
 *   the instance is up (an operator's act, failback, a new incarnation): only if this replica's last probe failed.
 *   Otherwise the answer is on its way.
 */
export function mustGiveUp(routingState: RoutingState, target: Target, mono: number, wall: number): boolean {
  const { view, cutOff, failing } = routingState;
  const isDown = view.instances.get(target.instance)?.health === 'down';
  if (cutOff.has(target.instance) || (isDown && hasOther(view, target))) return true;
  if (!failing.has(target.instance)) return false;
  if (routingState.modeAt(mono, wall) !== 'leased') return view.instances.size > 1;
  // While it is down and no other instance can serve, no agent is moved; it may just be slow.
  return !isDown && !allows(view, target);
}

/** Is the instance out of reach, as far as this process knows, so that idle connections to it are useless? */
export function isLost(routingState: RoutingState, id: InstanceId, mono: number, wall: number): boolean {
  const { view, cutOff, failing } = routingState;
  if (view.instances.get(id)?.health === 'down' || cutOff.has(id)) return true;
  return failing.has(id) && routingState.modeAt(mono, wall) !== 'leased';
}

/** Can another instance serve the agent of this target? */
function hasOther(view: View, target: Target): boolean {
  const { mode, active, assignable } = view;
  const { instance } = target;
  if (mode === 'failover') return active !== '' && active !== instance;
  const to = movesTo(view, target);
  const isMoved = to !== undefined && to !== NOWHERE && to !== instance;
  return isMoved || assignable.some(({ id }) => id !== instance);
}
