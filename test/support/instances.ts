import type { InstanceId, InstanceState } from '../../src/core/instance.ts';
import type { PoolMode, View } from '../../src/core/view/view.ts';
import { makeView } from '../../src/core/view/view.ts';

/** An instance that is up, enabled and ordinary, except for the given fields. */
export function anInstance(given: Partial<InstanceState> = {}): InstanceState {
  return {
    id: 'a',
    weight: 1,
    priority: 1,
    admin: 'enabled',
    health: 'up',
    incarnation: '',
    past: [],
    quarantined: false,
    lostAt: 0,
    ...given,
  };
}

export function aView(...instances: InstanceState[]): View {
  return aViewOf('sticky', '', instances);
}

/** The view of a failover pool in which `active` serves. */
export function aFailoverView(active: InstanceId | '', ...instances: InstanceState[]): View {
  return aViewOf('failover', active, instances);
}

function aViewOf(mode: PoolMode, active: InstanceId | '', instances: InstanceState[]): View {
  return makeView({ pool: 'ici', mode, epoch: 1, settled: true, instances, active, moving: new Map() });
}
