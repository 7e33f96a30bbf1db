import { createAdminServer } from '../admin/admin-server.ts';
import type { PoolSource } from '../admin/pool-source.ts';
import { claimFailures, cutOffOf, PendingWatch, poolStatus } from '../admin/status.ts';
import type { Config } from '../config/schema.ts';
import { readAdminToken } from '../config/secrets.ts';
import { parseDuration } from '../config/units.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { Name } from '../core/identity.ts';
import type { LifecycleControl, LifecycleState, ShownState } from '../core/lifecycle.ts';
import { shownState } from '../core/lifecycle.ts';
import { StatePages } from '../core/state-page.ts';
import { storedKey } from '../core/stored-name.ts';
import type { DriftEffect } from '../core/view/agreed-config.ts';
import { driftOf } from '../core/view/local-config.ts';
import { canonicalUser } from '../identity/user-name.ts';
import { VERSION } from '../package.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { guardServer } from './connections.ts';

export interface AdminParts {
  readonly pools: readonly PoolSource[];
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** This gateway's name among its peers. */
  readonly replica: string;
  /** The configuration for display, with secrets masked. */
  readonly shownConfig: Readonly<Record<string, unknown>>;
  readonly startedAt: Date;
  /** Without `Drifted` and `Isolated`, which come from the pools. */
  readonly state: () => LifecycleState;
  readonly lifecycle: LifecycleControl;
  readonly inFlight: () => number;
  /** All metrics of the gateway in the Prometheus text format. Default: those of this process. */
  readonly scrape?: () => Promise<string>;
  readonly showName: (name: Name) => string;
}

export interface Admin {
  readonly server: ReturnType<typeof createAdminServer>;
  status(): GatewayStatus;
  /** The state that balancers see. Cheaper than a whole status. */
  state(): ShownState;
}

/** @throws SecretUnreadable if the token of the admin plane cannot be read */
export function composeAdmin(config: Config, parts: AdminParts): Admin {
  const { admin, statePage } = config;
  const { pools, metrics, logger, replica, shownConfig, startedAt, lifecycle, inFlight, showName } = parts;
  const state = (): ShownState =>
    shownState(parts.state(), {
      isDrifted: pools.some(({ operations }) => operations.routingState.isDrifted === true),
      isCutOff: cutOffOf(pools).length > 0 || claimFailures(pools).length > 0,
    });
  const pending = new PendingWatch();
  for (const pool of pools) pending.watch(pool);
  const status = (): GatewayStatus => ({
    state: state(),
    version: VERSION,
    replica,
    startedAt: startedAt.toISOString(),
    inFlight: inFlight(),
    pools: pools.map((pool) => poolStatus(pool, pending.since(pool.name))),
  });
  const server = createAdminServer({
    metrics,
    logger,
    status,
    state,
    lifecycle,
    statePages: new StatePages(statePage),
    config: shownConfig,
    pools,
    token: admin.tokenFile === undefined ? undefined : readAdminToken(admin.tokenFile),
    readers: { name: readName, key: storedKey, show: showName, duration: parseDuration },
    scrape: () => {
      readGauges(metrics, pools, status());
      return parts.scrape?.() ?? metrics.registry.metrics();
    },
  });
  guardServer(server.server, metrics, logger);
  return { server, status, state };
}

function readName(kind: 'user' | 'session', text: string): Name | undefined {
  // A session is opaque, so it is compared exactly as sent.
  const value = kind === 'user' ? canonicalUser(text) : text;
  return value === undefined ? undefined : { kind, value };
}

function readGauges(metrics: Metrics, sources: readonly PoolSource[], status: GatewayStatus): void {
  metrics.inFlight.set(status.inFlight);
  for (const { name: pool, operations } of sources) {
    const { differences, missing } = driftOf(operations.agreed, operations.parts);
    const count = (effect: DriftEffect): number => differences.filter((one) => one.effect === effect).length;
    metrics.configDifferences.set({ pool, effect: 'overridden' }, count('overridden'));
    metrics.configDifferences.set({ pool, effect: 'refused' }, count('refused'));
    metrics.configDifferences.set({ pool, effect: 'unready' }, missing.length);
    metrics.viewEffective.set({ pool }, operations.isEffective ? 1 : 0);
    metrics.leaseSeconds.set({ pool }, operations.leaseRemaining / 1_000);
    metrics.replicas.set({ pool }, operations.lastSync.replicas);
  }
  for (const { name: pool, mode, epoch, affinity, instances } of status.pools) {
    metrics.affinityAvailable.set({ pool }, affinity.available ? 1 : 0);
    metrics.viewEpoch.set({ pool }, epoch);
    for (const instance of instances) {
      const labels = { pool, instance: instance.id };
      metrics.instanceUp.set(labels, instance.health === 'up' ? 1 : 0);
      metrics.instanceQuarantined.set(labels, instance.quarantined ? 1 : 0);
      metrics.instanceCutOff.set(labels, instance.cutOffHere ? 1 : 0);
      if (mode === 'failover') metrics.instanceActive.set(labels, instance.active ? 1 : 0);
      metrics.bindings.set(labels, instance.boundAgents);
      metrics.instanceInFlight.set(labels, instance.inFlight);
    }
  }
}
