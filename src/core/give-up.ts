import type { InstanceId } from './instance.ts';
import type { Target } from './target.ts';
import { allows, movesTo } from './target.ts';
import type { RoutingState } from './view/routing-state.ts';
import type { View } from './view/view.ts';

/**
 * Must a request that was sent by `way` be given up? Until it is answered, the
 * network may hold it, and deliver it to the instance after its agent was moved
 * elsewhere. Asked after every change of the standing, before the other
 * replicas are told that this one has adopted it.
 *
 * - The instance is down by the view, and another one may serve its agents: yes.
 * - This replica alone cannot reach the instance: yes.
 * - The lease has ended, so that others may have moved the agent unnoticed; or the view sends the agent elsewhere
 *   although the instance is up (an operator's act, failback, a new incarnation): only where the last probe that
 *   this replica made failed. Else the answer is on its way.
 */
export function mustGiveUp(routingState: RoutingState, way: Target, mono: number, wall: number): boolean {
  const { view, cutOff, failing } = routingState;
  const isDown = view.instances.get(way.instance)?.health === 'down';
  if (cutOff.has(way.instance) || (isDown && hasOther(view, way))) return true;
  if (!failing.has(way.instance)) return false;
  if (routingState.modeAt(mono, wall) !== 'leased') return view.instances.size > 1;
  // While it is down and no other can serve, no agent is moved, and it may only be slow.
  return !isDown && !allows(view, way);
}

/** Is the instance out of reach by what is known here, so that idle connections to it are of no more use? */
export function isLost(routingState: RoutingState, id: InstanceId, mono: number, wall: number): boolean {
  const { view, cutOff, failing } = routingState;
  if (view.instances.get(id)?.health === 'down' || cutOff.has(id)) return true;
  return failing.has(id) && routingState.modeAt(mono, wall) !== 'leased';
}

/** Can the agent of this way be served by another instance? */
function hasOther(view: View, target: Target): boolean {
  const { mode, active, assignable } = view;
  const { instance } = target;
  if (mode === 'failover') return active !== '' && active !== instance;
  const to = movesTo(view, target);
  return (to !== undefined && to !== instance) || assignable.some(({ id }) => id !== instance);
}
