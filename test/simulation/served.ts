import type { Placement } from '../../src/core/binding.ts';
import type { Target } from '../../src/core/target.ts';
import { checkTarget } from '../../src/core/target.ts';
import type { AgreedView } from '../../src/core/view/agreed-view.ts';
import { keyOf } from './bindings.ts';
import type { Gateway } from './gateway.ts';
import { activeRoute } from './requests.ts';

/** Whether it runs and holds a lease. */
export function mayAct({ replica, host }: Gateway): boolean {
  return host.isRunning && replica.modeAt(host.mono, host.wall) === 'leased';
}

/** The only placement that would get the agent's request from this gateway now, if there is one. */
export function servedWhileActing(gateway: Gateway, agent: string): Target | undefined {
  const { replica, host } = gateway;
  const target = targetAt(gateway, agent);
  if (target === undefined) return undefined;
  return checkTarget(replica, target, host.mono, host.wall) === 'forward' ? target : undefined;
}

/** Where the gateway sends the agent if it may. */
function targetAt(gateway: Gateway, agent: string): Target | undefined {
  const { replica, bindings } = gateway;
  if (replica.view.mode === 'failover') return activeRoute(replica)?.routed;
  const entry = bindings.get(gateway.nameOf(agent));
  return entry === undefined || entry.alone ? undefined : entry.routed;
}

/** Nothing needs to be judged then. */
export function allKnowTheSame(gateways: readonly Gateway[], agent: string): boolean {
  let first: Placement | undefined;
  for (const gateway of gateways) {
    const target = targetAt(gateway, agent);
    if (target === undefined) continue;
    const where = connectorOf(gateway, target);
    first ??= where;
    if (where.instance !== first.instance || where.incarnation !== first.incarnation) return false;
  }
  return true;
}

/** The connector itself: a gateway may have another one under the name. */
export function connectorOf(gateway: Gateway, placement: Target): Target;
export function connectorOf(gateway: Gateway, placement: Placement): Placement;
export function connectorOf(gateway: Gateway, placement: Placement): Placement {
  const { id } = gateway.connector(placement.instance);
  return id === placement.instance ? placement : { ...placement, instance: id };
}

/** Whether the view lets the instance serve the agent, in the incarnation of the binding. */
export function isServedBy(view: AgreedView, { instance, incarnation }: Placement, agent: string): boolean {
  const state = view.instances[instance];
  if (state === undefined || state.health !== 'up' || state.admin === 'disabled') return false;
  const key = keyOf(agent);
  if (view.moving.some((move) => move.key === key && move.to !== instance)) return false;
  return incarnation === '' || state.incarnation === '' || state.incarnation === incarnation;
}

/** An unknown incarnation may be the same. */
export function isSamePlacement(a: Placement, b: Placement): boolean {
  if (a.instance !== b.instance) return false;
  return a.incarnation === b.incarnation || a.incarnation === '' || b.incarnation === '';
}

export function place({ instance, incarnation }: Placement): string {
  return incarnation === '' ? instance : `${instance} ${incarnation}`;
}
