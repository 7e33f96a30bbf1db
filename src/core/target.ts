import type { CachedBinding } from './agent-bindings.ts';
import type { Binding, Placement } from './binding.ts';
import type { Name } from './identity.ts';
import type { InstanceId, InstanceState } from './instance.ts';
import { isUsable } from './instance.ts';
import type { Loss } from './origin.ts';
import { storedKey } from './stored-name.ts';
import { NOWHERE } from './view/agreed-view.ts';
import type { RoutingState } from './view/routing-state.ts';
import type { View } from './view/view.ts';

/**
 * What to do with a request that is bound to an instance.
 *
 * - `forward`: send it to the bound instance.
 * - `move`: the binding has lost its instance or its incarnation.
 * - `wait`: a new view is not in effect yet, and this request depends on it; or an operator is ending the binding.
 * - `renew`: the lease has ended; ask the view store before anything else.
 * - `outdated`: the binding may have been moved since it was learnt; ask the store.
 * - `differs`: this replica's configuration differs from the agreed one, so it must not serve the pool.
 * - `cut-off`: only this replica cannot reach the instance, or does not know it, and no peer can relay the request; no
 *   agent is moved for that.
 */
export type Verdict = 'forward' | 'move' | 'wait' | 'renew' | 'outdated' | 'cut-off' | 'differs';

/** The instance that a request goes to, and the binding that says so; without a binding if the request needs none. */
export interface Target extends Placement {
  /** The name that holds the binding. */
  readonly root?: Name | undefined;
  /** The epoch in which the store confirmed the binding. */
  readonly epoch?: number;
  /** The binding in the cache. */
  readonly entry?: CachedBinding | undefined;
}

export function targetBy(binding: Binding, epoch: number, entry: CachedBinding | undefined): Target {
  const { instance, incarnation, root } = binding;
  return { instance, incarnation, epoch, root, entry };
}

/**
 * The only place that decides whether a binding may be acted on now. Called when a route is found, and again right
 * before the first byte is sent.
 */
export function checkTarget(
  routingState: RoutingState,
  binding: Target,
  mono: number,
  wall: number,
): Verdict {
  const { fit } = routingState.view;
  if (fit === 'differs') return 'differs';
  switch (routingState.modeAt(mono, wall)) {
    case 'waiting':
      return 'renew';
    case 'degraded':
      if (!allows(routingState.view, binding)) return 'move';
      return routingState.unconfigured.has(binding.instance) ? 'cut-off' : 'forward';
    case 'leased':
      break;
  }
  if (routingState.isBlocked || fit === 'unknown') return 'wait';
  const allowed = allows(routingState.view, binding);
  // Until every replica has adopted the new view, only what both views allow is safe.
  if (routingState.before !== undefined && !(allowed && allowedBefore(routingState.before, binding)))
    return 'wait';
  if (!allowed) return movesTo(routingState.view, binding) === NOWHERE ? 'wait' : 'move';
  const { instance, epoch } = binding;
  if (epoch !== undefined && !isCurrent(routingState.view, instance, epoch)) return 'outdated';
  if (routingState.unconfigured.has(instance)) return 'cut-off';
  const canRelay = routingState.relays?.has(instance) === true;
  return routingState.cutOff.has(instance) && !canRelay ? 'cut-off' : 'forward';
}

/** The other replicas may still act by the previous configuration. */
function allowedBefore(before: View, binding: Target): boolean {
  return before.fit !== 'differs' && before.fit !== 'unknown' && allows(before, binding);
}

/** May the instance, in the incarnation that the binding names, take the request? */
export function allows(view: View, binding: Target): boolean {
  if (view.moving.size > 0 && !mayBeServedBy(view, binding)) return false;
  const instance = view.instances.get(binding.instance);
  if (instance === undefined || !isUsable(instance)) return false;
  if (view.mode === 'failover' && view.active !== binding.instance) return false;
  return isInIncarnation(binding, instance);
}

/** False if the agent is being moved to another instance, or an operator is ending its binding. */
function mayBeServedBy(view: View, target: Target): boolean {
  const to = movesTo(view, target);
  return to === undefined || to === target.instance;
}

/**
 * The instance that the agent is being moved to, or `NOWHERE`. Moves are rare, so the key is computed only if there is
 * one.
 */
export function movesTo({ moving }: View, { root }: Target): InstanceId | undefined {
  return moving.size === 0 || root === undefined ? undefined : moving.get(storedKey(root));
}

/** The instances from which agents who log on after a log-off are moved away. */
export function drainingIn({ instances, mode }: View): InstanceId[] {
  if (mode !== 'sticky') return [];
  return [...instances.values()].filter(({ admin }) => admin === 'draining').map(({ id }) => id);
}

/** Is this one of them? Then what is cached about bindings to it may be outdated at any time. */
export function isDrainingAt({ instances, mode }: View, id: InstanceId): boolean {
  return mode === 'sticky' && instances.get(id)?.admin === 'draining';
}

/** Are there any? */
export function isDraining({ instances, assignable, mode }: View): boolean {
  // Usually all take new agents, so none drains. With log-on rules every request asks.
  if (mode !== 'sticky' || assignable.length === instances.size) return false;
  for (const { admin } of instances.values()) if (admin === 'draining') return true;
  return false;
}

/** How the instance has lost the agents of the placement; `undefined` if it still serves them. */
export function lossOf({ instances, mode, active }: View, placement: Placement): Loss | undefined {
  const { instance: id } = placement;
  const instance = instances.get(id);
  if (instance === undefined) return 'removed';
  // An operator has decided that, whatever the instance does meanwhile: it is restarted after a patch.
  if (instance.admin === 'disabled') return 'disabled';
  if (instance.health !== 'up') return 'down';
  if (!isInIncarnation(placement, instance)) return 'restarted';
  return mode === 'failover' && active !== id ? 'inactive' : undefined;
}

/**
 * A placement in another incarnation of the instance is void. Claims carry the epoch, so an incarnation that the view
 * does not know yet cannot appear while the view is acted on.
 */
function isInIncarnation(placement: Placement, instance: InstanceState): boolean {
  if (placement.incarnation === '' || instance.incarnation === '') return true;
  return placement.incarnation === instance.incarnation;
}

/**
 * May a binding learnt in `epoch` be used without asking the store again? Bindings to an instance move only in epochs
 * in which it cannot serve.
 */
export function isCurrent(view: View, instance: InstanceId, epoch: number): boolean {
  const state = view.instances.get(instance);
  return state !== undefined && epoch > state.lostAt;
}

/** How a binding may be made or moved now. `degraded`: by this replica alone; it is written back to the store later. */
export type WayToBind = 'claim' | 'degraded' | 'wait' | 'renew';

export function wayToBind(routingState: RoutingState, mono: number, wall: number): WayToBind {
  const mode = routingState.modeAt(mono, wall);
  if (mode === 'waiting') return 'renew';
  if (mode === 'leased' && routingState.fencingToken !== '') return 'claim';
  return routingState.placesAlone && !routingState.hearsStore ? 'degraded' : 'wait';
}

/**
 * As far as this gateway can tell, would every gateway place a new agent on the same instance by rendezvous now? Then
 * the agent need not wait for a slow store.
 */
export function allPlaceAlike(routingState: RoutingState, mono: number, wall: number): boolean {
  const { view, before, isBlocked, candidates, placesAlike } = routingState;
  if (!placesAlike || isBlocked || before !== undefined || view.moving.size > 0) return false;
  return candidates.length === view.assignable.length && routingState.modeAt(mono, wall) === 'leased';
}
