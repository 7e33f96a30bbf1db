import type { RoutingState } from '../../core/view/routing-state.ts';
import type { PoolMode } from '../../core/view/view.ts';
import type { LiveChild } from '../messages.ts';

interface StickyCheckPool {
  readonly name: string;
  readonly mode: PoolMode;
  readonly routingState: Pick<RoutingState, 'placesAlone'>;
}

/**
 * Refuses to start a worker while the store is away and other workers are serving. The new worker knows no bindings, so
 * it would place agents again that the other workers know at another instance. If no other worker was ready when this
 * one started, there is no such knowledge, and the worker may start.
 *
 * @throws Error with a remedy
 */
export function requireStore(pools: readonly StickyCheckPool[], others: readonly LiveChild[]): void {
  const without = pools.find(({ mode, routingState }) => mode === 'sticky' && routingState.placesAlone);
  if (without === undefined || others.every(({ isReady }) => isReady === false)) return;
  throw new Error(
    `the store of pool ${without.name} is away, and only the running workers know its agents: try again when the store is back`,
  );
}
