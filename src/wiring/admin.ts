import { hostname } from 'node:os';
import type {
  AdminServerOptions,
  IncidentSources,
  Readers,
  RecordGatewayEvent,
} from '../admin/admin-options.ts';
import { createAdminServer } from '../admin/admin-server.ts';
import { coalesce } from '../admin/coalesce.ts';
import { readConsole } from '../admin/console-files.ts';
import { gatewayListing } from '../admin/gateways.ts';
import type { PoolSource } from '../admin/pool-source.ts';
import { claimFailures, cutOffOf, PendingWatch, poolStatus } from '../admin/status.ts';
import { certificatesOf } from '../config/certificates.ts';
import type { ReloadPreview } from '../config/preview.ts';
import type { Config } from '../config/schema.ts';
import { readListenerTls } from '../config/secrets.ts';
import { parseDuration } from '../config/units.ts';
import type { AlarmMemory, RecentCounts } from '../core/alarms.ts';
import { alarmsOf } from '../core/alarms.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { GatewayEntry, GatewayRegistry } from '../core/gateways.ts';
import { gatewayEntry } from '../core/gateways.ts';
import type { Name } from '../core/identity.ts';
import type { LifecycleControl, LifecycleState, ShownState } from '../core/lifecycle.ts';
import { shownState } from '../core/lifecycle.ts';
import { adminConnectionsWithin } from '../core/open-files.ts';
import type { ShownOption } from '../core/shown-option.ts';
import { StatePages } from '../core/state-page.ts';
import { KEY_FORMAT, storedKey } from '../core/stored-name.ts';
import { canonicalUser, USER_NAME_FORM } from '../core/user-name.ts';
import type { DriftEffect } from '../core/view/agreed-config.ts';
import { driftOf } from '../core/view/local-config.ts';
import { addressMask } from '../identity/client-address.ts';
import { CONSOLE, VERSION } from '../package.ts';
import { fileLimit } from '../process/file-limit.ts';
import { PROTOCOL } from '../process/messages.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { adminAccess } from './admin-access.ts';
import { guardServer } from './connections.ts';
import { reloadPreviewStatus } from './reload-preview.ts';

export interface AdminParts {
  readonly pools: readonly PoolSource[];
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** This gateway's name among its peers. */
  readonly replica: string;
  /** A key that all processes of the gateway share. */
  readonly secret: string;
  /** The configuration for display, with secrets masked. */
  readonly shownConfig: Readonly<Record<string, unknown>>;
  readonly shownOptions: readonly ShownOption[];
  readonly startedAt: Date;
  /** Without `Drifted` and `Isolated`, which come from the pools. */
  readonly state: () => LifecycleState;
  readonly lifecycle: LifecycleControl;
  readonly inFlight: () => number;
  readonly recent: RecentCounts & Pick<IncidentSources, 'ended'> & { errors(code: ErrorCode): number };
  readonly lines: IncidentSources['lines'];
  readonly storeVersion: IncidentSources['storeVersion'];
  readonly recentRequests: AdminServerOptions['recentRequests'];
  /** Other gateways can use the store. */
  readonly isShared: boolean;
  /** `undefined` if no other gateway can use the store. */
  readonly gateways: GatewayRegistry | undefined;
  /** The URL of the admin plane for other hosts, once it listens. */
  readonly advertised: () => string | null;
  /** @throws ActRefused if this gateway cannot reload */
  readonly previewReload: () => Promise<ReloadPreview>;
  readonly recordGatewayEvent: RecordGatewayEvent;
  /** All metrics of the gateway in the Prometheus text format. Default: those of this process. */
  readonly scrape?: () => Promise<string>;
  readonly showName: (name: Name) => string;
}

export interface Admin {
  readonly server: ReturnType<typeof createAdminServer>;
  status(): GatewayStatus;
  /** What this gateway tells operators at other gateways. */
  entry(): GatewayEntry;
  /** The state that balancers see. Cheaper than a whole status. */
  state(): ShownState;
}

const LOOK_FOR_ALARMS_MS = 1_000;

/** @throws SecretUnreadable if a file of the admin plane cannot be read */
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
  const certificates = certificatesOf(config);
  let alarmMemory: AlarmMemory = new Map();
  const status = (): GatewayStatus => {
    const facts = {
      state: state(),
      version: VERSION,
      host: hostname(),
      workers: config.workers,
      admin: { advertise: parts.advertised() },
      replica,
      shared: parts.isShared,
      certificates,
      startedAt: startedAt.toISOString(),
      inFlight: inFlight(),
      pools: pools.map((pool) => poolStatus(pool, pending.since(pool.name))),
    };
    const { alarms, memory } = alarmsOf(facts, parts.recent, alarmMemory, Date.now());
    alarmMemory = memory;
    return { ...facts, alarms };
  };
  const entry = (): GatewayEntry => gatewayEntry(status());
  const server = createAdminServer({
    metrics,
    logger,
    status,
    state,
    previewReload: async () => reloadPreviewStatus(await parts.previewReload(), status()),
    gateways: () => gatewayListing(entry(), parts.gateways, status().pools),
    lifecycle,
    recordGatewayEvent: parts.recordGatewayEvent,
    recentRequests: parts.recentRequests,
    errorCount: (code) => parts.recent.errors(code),
    statePages: new StatePages(statePage),
    via: config.forwarding.via,
    console: { files: readConsole(CONSOLE), prefixes: statePage.prefixes },
    config: shownConfig,
    options: parts.shownOptions,
    pools,
    tls: admin.tls === undefined ? undefined : readListenerTls(admin.tls),
    maxConnections: adminConnectionsWithin(fileLimit()?.soft ?? Number.POSITIVE_INFINITY),
    access: adminAccess(admin, parts.secret, logger),
    metricsRole: admin.metrics === 'open' ? 'public' : 'viewer',
    readers: { name: nameReader(config.identity), key: storedKey, show: showName, duration: parseDuration },
    incident: {
      lines: parts.lines,
      ended: (withinMs) => parts.recent.ended(withinMs),
      storeVersion: parts.storeVersion,
      formats: { protocol: PROTOCOL, keyFormat: KEY_FORMAT, userNameForm: USER_NAME_FORM },
    },
    // Each scrape asks all workers, so a flood of them must not.
    scrape: coalesce(async () => {
      readGauges(metrics, pools, status());
      return parts.scrape?.() ?? metrics.registry.metrics();
    }),
  });
  // Alarms tell since when, whether or not an operator looks.
  const alarmTimer = setInterval(status, LOOK_FOR_ALARMS_MS);
  server.addHook('onClose', async () => clearInterval(alarmTimer));
  guardServer(server.server, metrics, logger);
  return { server, status, entry, state };
}

/** Reads names as requests with this configuration would be understood. */
function nameReader({ addressMask: lengths }: Config['identity']): Readers['name'] {
  const networkOf = addressMask(lengths);
  return (kind, text) => {
    // A session is opaque, so it is compared exactly as sent.
    let value: string | undefined = text;
    if (kind === 'user') value = canonicalUser(text);
    // A list of agents shows networks.
    else if (kind === 'address') value = text.includes('/') ? text : networkOf(text);
    return value === undefined ? undefined : { kind, value };
  };
}

function readGauges(metrics: Metrics, sources: readonly PoolSource[], status: GatewayStatus): void {
  metrics.inFlight.set(status.inFlight);
  for (const { name: pool, operations } of sources) {
    const { differences, missing } = driftOf(operations.agreed, operations.parts);
    const count = (effect: DriftEffect): number => differences.filter((one) => one.effect === effect).length;
    metrics.configDifferences.set({ pool, effect: 'overridden' }, count('overridden'));
    metrics.configDifferences.set({ pool, effect: 'tolerated' }, count('tolerated'));
    metrics.configDifferences.set({ pool, effect: 'refused' }, count('refused'));
    metrics.configDifferences.set({ pool, effect: 'unready' }, missing.length);
    metrics.viewEffective.set({ pool }, operations.isEffective ? 1 : 0);
    metrics.leaseSeconds.set({ pool }, operations.leaseRemaining / 1_000);
    metrics.replicas.set({ pool }, operations.lastSync.replicas);
  }
  for (const { name: pool, mode, epoch, affinity, instances, groupFileProblem } of status.pools) {
    metrics.affinityAvailable.set({ pool }, affinity.available ? 1 : 0);
    if (instances.some(({ groups }) => groups !== null))
      metrics.groupFileValid.set({ pool }, groupFileProblem === null ? 1 : 0);
    metrics.viewEpoch.set({ pool }, epoch);
    for (const instance of instances) {
      const labels = { pool, instance: instance.id };
      metrics.instanceUp.set(labels, instance.health === 'up' ? 1 : 0);
      metrics.instanceQuarantined.set(labels, instance.quarantined ? 1 : 0);
      metrics.instanceCutOff.set(labels, instance.cutOffHere ? 1 : 0);
      if (mode === 'failover') metrics.instanceActive.set(labels, instance.active ? 1 : 0);
      metrics.bindings.set(labels, instance.boundAgents);
      if (instance.maxAgents !== null) metrics.maxAgents.set(labels, instance.maxAgents);
      if (instance.groups !== null) {
        metrics.groups.set(labels, instance.groups.number);
        metrics.groupAgents.set(labels, instance.groups.agents);
      }
      metrics.instanceInFlight.set(labels, instance.inFlight);
    }
  }
}
