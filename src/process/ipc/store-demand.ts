import type { RoutingState } from '../../core/view/routing-state.ts';
import type { PoolMode } from '../../core/view/view.ts';
import type { LiveChild } from '../messages.ts';

interface DemandingPool {
  readonly name: string;
  readonly mode: PoolMode;
  readonly routingState: Pick<RoutingState, 'placesAlone'>;
}

/**
 * A process that knows no binding, while the store is away, would place agents anew whom the other workers know
 * elsewhere. Where no other was ready to serve when this one was started, nobody knows better.
 *
 * @throws Error that says what to do
 */
export function demandStore(pools: readonly DemandingPool[], others: readonly LiveChild[]): void {
  const without = pools.find(({ mode, routingState }) => mode === 'sticky' && routingState.placesAlone);
  if (without === undefined || others.every(({ isReady }) => isReady === false)) return;
  throw new Error(
    `the store of pool ${without.name} is away, and only the workers that are there know its agents: try again when it is back`,
  );
}
