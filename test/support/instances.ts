import type { InstanceState } from '../../src/core/instance.ts';
import type { View } from '../../src/core/view.ts';
import { makeView } from '../../src/core/view.ts';

/** An instance that is up, enabled and like any other, but for what is given. */
export function anInstance(given: Partial<InstanceState> = {}): InstanceState {
  return {
    id: 'a',
    weight: 1,
    priority: 1,
    admin: 'enabled',
    health: 'up',
    incarnation: '',
    past: [],
    ...given,
  };
}

export function aView(...instances: InstanceState[]): View {
  return makeView('ici', 1, true, instances);
}
