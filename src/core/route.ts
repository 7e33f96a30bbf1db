import type { Placement } from './binding.ts';
import { standingOf } from './binding.ts';
import type { InstanceState } from './instance.ts';
import { isUsable } from './instance.ts';
import type { View } from './view.ts';

/**
 * What is to be done with a bound request.
 *
 * `forward`: to the bound instance. `rebind`: the binding has lost its instance
 * or its incarnation, so it must move first. `refresh`: the view may be older
 * than the binding; look at the instance before judging.
 */
export type Verdict = 'forward' | 'rebind' | 'refresh';

/** The one place that says whether a binding may be acted on. */
export function judge(view: View, binding: Placement): Verdict {
  const instance = view.instances.get(binding.instance);
  if (instance === undefined || !isUsable(instance)) return 'rebind';
  switch (standingOf(binding, instance)) {
    case 'holds':
      return 'forward';
    case 'void':
      return 'rebind';
    case 'doubtful':
      return 'refresh';
  }
}

/**
 * The next instance of a failover pool: the lowest priority number among those
 * that may take over. Weights spread agents, so they mean nothing where one
 * instance takes all.
 */
export function nextInLine(view: View): InstanceState | undefined {
  let first: InstanceState | undefined;
  for (const instance of view.instances.values()) {
    if (instance.admin !== 'enabled' || instance.health !== 'up') continue;
    if (first === undefined || instance.priority < first.priority) first = instance;
  }
  return first;
}
