import type { InstanceId } from './instance.ts';
import type { Target } from './target.ts';
import { checkTarget } from './target.ts';
import type { RoutingState } from './view/routing-state.ts';

/**
 * Relaying: a gateway that cannot connect to an instance hands the request, of which nothing was sent, to a peer that
 * reports the instance as up. The peer judges it by its own view and lease, as a request of its own.
 */

/** How a request gets to its instance: over a connection of this gateway, or through the peer at this address. */
export type Route = 'direct' | { readonly peer: string };

const DIRECT = 'direct';

/**
 * The next route to try, or `undefined` if all have failed. Peers come first while this gateway's probes of the instance
 * fail: what is written to a broken path may arrive or not, so its outcome would be unknown.
 *
 * Chance chooses among the peers. So each gets its share, whatever the agents do, and a peer that fails or hangs delays
 * no agent's requests every time.
 *
 * @param failed the routes that could not take the request since it last waited
 * @param chance from 0 to below 1
 */
export function nextRoute(
  { relays, failing }: Pick<RoutingState, 'relays' | 'failing'>,
  instance: InstanceId,
  failed: readonly Route[],
  chance: number,
): Route | undefined {
  const peers = relays?.get(instance);
  if (peers === undefined) return failed.length === 0 ? DIRECT : undefined;
  const mayBeDirect = !failed.includes(DIRECT);
  if (mayBeDirect && !failing.has(instance)) return DIRECT;
  const left = peers.filter((address) => !failed.some((route) => route !== DIRECT && route.peer === address));
  const peer = left[Math.floor(chance * left.length)];
  if (peer !== undefined) return { peer };
  return mayBeDirect ? DIRECT : undefined;
}

/**
 * May this gateway send a request of a peer to the instance now? Only under a lease, by a view that is at least as new
 * as the sender's, and if it reaches the instance itself.
 */
export function judgeRelayed(
  routingState: RoutingState,
  { target, viewEpoch }: { readonly target: Target; readonly viewEpoch: number },
  mono: number,
  wall: number,
): boolean {
  const { view, failing, unreachable } = routingState;
  if (routingState.modeAt(mono, wall) !== 'leased' || view.epoch < viewEpoch) return false;
  if (failing.has(target.instance) || unreachable.has(target.instance)) return false;
  return checkTarget(routingState, target, mono, wall) === 'forward';
}
