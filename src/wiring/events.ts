import type { BindingsEvents } from '../affinity/bindings-options.ts';
import type { CoordinatorEvents } from '../coordination/coordinator-options.ts';
import type { Name } from '../core/identity.ts';
import { STATE_LINES } from '../core/incident/state-lines.ts';
import type { View } from '../core/view/view.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Logs and counts each change of state once. Most are `warn` or less: the gateway continues without an operator. */

export function coordinatorEvents(pool: string, logger: Logger, metrics: Metrics): CoordinatorEvents {
  return {
    onView: (before, after) => reportView(pool, logger, metrics, before, after),
    onStoreState: (state, detail) => {
      const fields = { pool, store: state, ...(detail === undefined ? {} : { detail }) };
      if (state === 'away') logger.warn(fields, STATE_LINES.storeAway);
      else logger.info(fields, STATE_LINES.storeAvailable);
    },
    onCutOff: (instances) => {
      const fields = { pool, instances: [...instances] };
      if (instances.size > 0) logger.warn(fields, STATE_LINES.cutOff);
      else logger.info(fields, STATE_LINES.reached);
    },
    onClaims: (failure) => {
      if (failure === undefined) logger.info({ pool }, STATE_LINES.claimsWork);
      else logger.warn({ pool, detail: failure }, STATE_LINES.claimsFail);
    },
    onDrift: ({ differences, missing, serves, ready }) => {
      const fields = { pool, differences, missing, serves, ready };
      if (!serves)
        logger.error(
          fields,
          'configuration drift: this gateway does not serve the pool, because it would send agents elsewhere',
        );
      else if (!ready)
        logger.warn(fields, 'configuration drift: an instance that takes agents is missing here: not ready');
      else if (differences.length > 0)
        logger.warn(fields, 'configuration drift: this gateway acts by the agreed values');
      else logger.info(fields, 'configuration drift has ended');
    },
    onAbstention: (abstains, reason) => {
      if (abstains) metrics.abstentions.inc({ pool });
      logger.info({ pool, abstains, reason }, abstains ? STATE_LINES.withheld : STATE_LINES.sentAgain);
    },
    onPeer: (gateway, change) =>
      logger.info({ pool, gateway }, change === 'came' ? STATE_LINES.gatewayCame : STATE_LINES.gatewayGone),
    onStoreRenewed: () => logger.warn({ pool }, STATE_LINES.storeRenewed),
    onNotRestored: (error) =>
      logger.error({ pool, err: error }, 'bindings are not written back yet, so no new agent is bound'),
    onProbeFailed: (instance, reason, isDownNow) => {
      const fields = { pool, instance, reason };
      if (isDownNow) logger.warn(fields, STATE_LINES.probesFail);
      else logger.info(fields, 'probe failed');
    },
    onOperation: (operation, outcome) => metrics.ledgerOperations.inc({ pool, operation, outcome }),
  };
}

function reportView(pool: string, logger: Logger, metrics: Metrics, before: View, after: View): void {
  const { epoch } = after;
  for (const instance of after.instances.values()) {
    const was = before.instances.get(instance.id);
    if (was === undefined || was === instance) continue;
    const fields = { pool, instance: instance.id, epoch };
    if (was.health !== instance.health) {
      metrics.instanceTransitions.inc({ pool, instance: instance.id, to: instance.health });
      const change = { ...fields, before: was.health, after: instance.health };
      if (instance.health === 'down') logger.warn(change, 'instance down');
      else logger.info(change, 'instance up');
    }
    if (was.incarnation !== instance.incarnation && was.incarnation !== '') {
      metrics.instanceTransitions.inc({ pool, instance: instance.id, to: 'restarted' });
      const change = { ...fields, before: was.incarnation, after: instance.incarnation };
      logger.warn(change, 'instance restarted: it has forgotten its agents, so their bindings are void');
    }
    if (was.admin !== instance.admin) {
      logger.info({ ...fields, before: was.admin, after: instance.admin }, 'admin state of an instance');
    }
    if (was.quarantined !== instance.quarantined) {
      logger.info({ ...fields, quarantined: instance.quarantined }, 'quarantine of an instance');
    }
  }
  if (before.active !== after.active) {
    logger.warn({ pool, before: before.active, after: after.active, epoch }, 'active instance');
  }
}

export function bindingsEvents(
  pool: string,
  logger: Logger,
  metrics: Metrics,
  showName: (name: Name) => string,
): BindingsEvents {
  return {
    onConflict: (names, was, now) => {
      metrics.conflicts.inc({ pool });
      logger.warn(
        { pool, names: names.map(showName), was: was.instance, now: now.instance },
        'binding conflict: an agent was bound to two instances and follows one of them from now on',
      );
    },
    onShared: () => metrics.names.ignored(pool, 'cookie', 'shared'),
    onReplaced: (names) => metrics.namesReplaced.inc({ pool }, names),
    onRebound: () => metrics.rebinds.inc({ pool }),
    onOperation: (operation, outcome, seconds) => {
      metrics.affinityOperations.inc(pool, operation, outcome);
      metrics.affinityDuration.observe({ pool, operation }, seconds);
    },
  };
}
