import type { BindingsEvents } from '../affinity/bindings.ts';
import type { Transition } from '../coordination/local-coordinator.ts';
import type { Name } from '../core/identity.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/**
 * Changes of state, each logged and counted once. `warn` for what heals itself;
 * nothing here needs a person at once, since the gateway goes on.
 */

export function reportTransition(logger: Logger, metrics: Metrics, transition: Transition): void {
  const { pool, before, after, epoch, reason } = transition;
  if (before.health !== after.health) {
    metrics.instanceTransitions.inc({ pool, instance: after.id, to: after.health });
    const fields = { pool, instance: after.id, before: before.health, after: after.health, epoch, reason };
    if (after.health === 'down') logger.warn(fields, 'instance down');
    else logger.info(fields, 'instance up');
  }
  if (before.incarnation !== after.incarnation && before.incarnation !== '') {
    metrics.instanceTransitions.inc({ pool, instance: after.id, to: 'restarted' });
    logger.warn(
      { pool, instance: after.id, before: before.incarnation, after: after.incarnation, epoch },
      'instance restarted: it has forgotten its agents, so their bindings are void',
    );
  }
}

export function bindingsEvents(
  pool: string,
  logger: Logger,
  metrics: Metrics,
  showName: (name: Name) => string,
): BindingsEvents {
  return {
    onStoreState: (state, detail) => {
      metrics.affinityAvailable.set({ pool }, state === 'available' ? 1 : 0);
      const fields = { pool, store: state, detail };
      if (state === 'away') {
        logger.warn(fields, 'affinity store away: known agents go on, new ones are placed by hashing');
      } else {
        logger.info(fields, 'affinity store available');
      }
    },
    onConflict: (names, was, now) => {
      metrics.conflicts.inc({ pool });
      logger.warn(
        { pool, names: names.map(showName), was: was.instance, now: now.instance },
        'binding conflict: an agent was bound to two instances and follows one of them from now on',
      );
    },
    onRebound: () => metrics.rebinds.inc({ pool }),
    onOperation: (operation, outcome, seconds) => {
      metrics.affinityOperations.inc({ pool, operation, outcome });
      metrics.affinityDuration.observe({ pool, operation }, seconds);
    },
  };
}
