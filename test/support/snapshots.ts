import type { RoutingStateSnapshot } from '../../src/core/view/routing-state-copy.ts';
import { makeView } from '../../src/core/view/view.ts';
import { anInstance } from './instances.ts';

/** The snapshot of a sticky pool of two instances, `a` and `b`, that may serve all its agents. */
export function aSnapshot(
  changes: Partial<RoutingStateSnapshot> & Pick<RoutingStateSnapshot, 'leaseEnd'>,
  pool = 'ici',
  epoch = 1,
): RoutingStateSnapshot {
  const view = makeView({
    pool,
    mode: 'sticky',
    epoch,
    settled: true,
    instances: [anInstance({ id: 'a' }), anInstance({ id: 'b' })],
    active: '',
    moving: new Map(),
  });
  return {
    viewId: `${epoch}.x`,
    view,
    before: undefined,
    isBlocked: false,
    fence: 'f',
    unreachable: new Set(),
    candidates: view.assignable,
    cutOff: new Set(),
    failing: new Set(),
    placesAlone: false,
    hearsStore: false,
    placesAlike: false,
    agreedEpoch: epoch,
    ...changes,
  };
}
