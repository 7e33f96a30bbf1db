import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { StoreBindings } from '../affinity/store-bindings.ts';
import type { ReloadPreview } from '../config/preview.ts';
import type { PoolConfig } from '../config/schema.ts';
import { GatewayAnnouncer } from '../coordination/gateway-announcer.ts';
import { ActRefused } from '../core/act-refused.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import { LEASE_SHARE } from '../core/view/lease.ts';
import type { ServedPool } from '../process/ipc/embedded-store-server.ts';
import { EmbeddedStoreServer } from '../process/ipc/embedded-store-server.ts';
import type { ToWorker } from '../process/ipc/messages.ts';
import { Workers } from '../process/ipc/workers.ts';
import type {
  HostChannel,
  HostLifecycle,
  Init,
  RunningChild,
  ShutdownCommand,
  WorkerId,
} from '../process/messages.ts';
import { isOneProcess } from '../process/messages.ts';
import { listenOn } from '../sockets/listen.ts';
import { HostMetrics } from '../telemetry/host-metrics.ts';
import { KeptLines } from '../telemetry/kept-lines.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { urlOf, whereToListen } from './addresses.ts';
import type { Admin } from './admin.ts';
import { composeAdmin } from './admin.ts';
import { warnIfOpen } from './admin-access.ts';
import { advertisedUrl } from './advertise.ts';
import { watchClock } from './clock.ts';
import type { ControlPool } from './control-pool.ts';
import { composeControlPool } from './control-pool.ts';
import { coordinatorEvents } from './events.ts';
import { GatewayEvents } from './gateway-events.ts';
import { composeGroups } from './groups.ts';
import { Histories } from './history.ts';
import { beginSeries } from './initial-series.ts';
import { displayed, nameDisplay } from './names.ts';
import { composeOpenFiles, warnOfFewFiles } from './open-files.ts';
import { Opened } from './opened.ts';
import { RecentTraffic } from './recent-traffic.ts';
import type { SharedParts } from './shared-parts.ts';
import type { PoolSnapshot } from './snapshots.ts';
import { openSnapshots } from './snapshots.ts';
import { openStores } from './stores.ts';
import { supervised } from './supervised.ts';
import { ProbesOfPools } from './watched-probes.ts';

// Healthy workers answer at once. A worker that hangs may act on what it knows until its lease ends.
const COLLECT_MS = 500;
// Bounds the wait for slow readers of the admin API, so that they do not delay the next controller.
const LAST_ANSWERS_MS = 1_000;
// As often as workers send their counters: this process may be killed next, and the workers keep its totals.
const TOTALS_EVERY_MS = 5_000;

export interface RunningController extends RunningChild {
  readonly adminUrl: string;
  /** The address of the SAPControl web service, if it is configured. */
  readonly sapControlUrl: string | undefined;
  status(): GatewayStatus;
}

/**
 * Builds and starts the control plane. In its own process, load on the workers does not slow its probes.
 *
 * @param shared the parts shared with a worker in the same process
 */
export async function startController(
  init: Init,
  channel: HostChannel,
  logger: Logger,
  shared?: SharedParts,
): Promise<RunningController> {
  const opened = new Opened(logger);
  try {
    return await start(init, channel, logger, opened, shared);
  } catch (error) {
    // A controller in its own process ends now. It must not leave the view store: its successor is the same replica.
    if (isOneProcess(init)) await opened.close();
    throw error;
  }
}

async function start(
  init: Init,
  channel: HostChannel,
  processLog: Logger,
  opened: Opened,
  shared: SharedParts | undefined,
): Promise<RunningController> {
  const kept = new KeptLines();
  const logger = kept.keeping(processLog);
  const { config, replica, shownConfig, shownOptions = [] } = init;
  const metrics = shared?.metrics ?? new Metrics();
  beginSeries(metrics, config);
  const openFiles = composeOpenFiles(config, metrics, logger);
  warnOfFewFiles(config, logger);
  const hostMetrics = new HostMetrics(metrics.registry, init.host.startedAt);
  const recent = new RecentTraffic(hostMetrics);
  const probes = new ProbesOfPools(config, logger, metrics);
  const showName = nameDisplay(config.logging.names, init.secret);
  let lifecycle: HostLifecycle = init.lifecycle;
  const tellTotals = async (to: WorkerId | 'workers'): Promise<void> => {
    // The workers keep the totals for the next controller. A gateway of a single process has no next controller.
    if (shared !== undefined) return;
    const totals = { ...(await hostMetrics.totals()), probes: probes.kept };
    channel.send(to, { kind: 'totals', totals } satisfies ToWorker);
  };
  const servedPools = new Map<string, ServedPool>();
  const snapshots = new Map<string, PoolSnapshot>();
  const workers: Workers = new Workers({
    methodsFor: (asking) =>
      new EmbeddedStoreServer(servedPools, (pool, news) =>
        workers.sendToOthers(asking, { kind: 'store', pool, news }),
      ),
    send: (to, body) => channel.send(to, body),
    // The same share as for a gateway's own lease: messages to the workers take time.
    leaseMs: config.coordination.lease * LEASE_SHARE,
    watchdogMs: config.lifecycle.watchdogTimeout,
    ...(shared === undefined ? {} : { loadNow: () => shared.workerLoad?.() }),
    onMetrics: (worker, snapshot) => hostMetrics.update(worker, snapshot),
    onSecond: (worker, second, counts) => histories.report(worker, second, counts),
    onDecidedAlone: (pool, binding, aliases) => snapshots.get(pool)?.decidedAlone(binding, aliases),
    onGone: (worker) => {
      hostMetrics.ended(worker);
      void tellTotals('workers');
    },
    onHello: (worker, totals) => {
      if (hostMetrics.inherit(totals)) probes.inherit(totals?.probes);
      void tellTotals(worker);
    },
  });
  const histories: Histories = new Histories(
    config.pools.map(({ name }) => name),
    {
      workers: () => workers.serving,
      sample: (name) => (pools.find(({ source }) => source.name === name) as ControlPool).sample(),
    },
  );
  // Register existing workers before handling events; otherwise we would wait forever for one that has already exited.
  const collected = workers.collectKnowledge(
    init.workers.map(({ id }) => id as WorkerId),
    COLLECT_MS,
  );
  const pools: ControlPool[] = [];
  const gatewayEvents = new GatewayEvents(init, {
    pools: () => pools.map(({ source }) => source),
    logger,
  });
  // Before the events: those that have come meanwhile are handled at once.
  let announcer: GatewayAnnouncer | undefined;
  const host = supervised({ init, channel, logger, status: () => admin.status() });
  workers.listen(channel, (event) => {
    host.onEvent(event);
    gatewayEvents.onEvent(event);
    switch (event.kind) {
      case 'lifecycle':
        lifecycle = event.lifecycle;
        announcer?.changed();
        // Peers hand requests to this gateway only while it runs.
        if (config.peers !== undefined) for (const { coordinator } of pools) void coordinator.renew();
        break;
      case 'log-level':
        processLog.level = event.level;
        break;
    }
  });
  const knowledge = await collected;

  const stores = await (shared?.openStores ?? openStores)(
    config,
    {
      onDown: () => {
        for (const { coordinator } of pools) void coordinator.renew();
      },
      onHearing: () => {
        // The controller caches no bindings, so news of moves does not concern it.
      },
    },
    // Workers of an earlier controller know the agents, so the embedded store may be away.
    knowledge.size > 0,
  );
  let isLeaving = true;
  opened.add(() => stores.close());
  opened.add(() => workers.close());
  opened.add(() => tellTotals('workers'));
  const snapshotFiles = openSnapshots(config, logger, metrics);
  opened.add(() => snapshotFiles.close());
  const compose = (poolConfig: PoolConfig): ControlPool => {
    const { name } = poolConfig;
    const load = () => workers.load(name);
    const store = stores.open(name);
    const groups = composeGroups(poolConfig, logger, { tellsOfLarge: true });
    const caches = {
      cached: () => load().cachedBindings,
      aliases: (key: string) => workers.aliases(name, key),
    };
    const bindings = new StoreBindings(store, replica, caches, { hasGroups: groups !== undefined });
    const snapshot = snapshotFiles.open({
      poolConfig,
      coordinator: () => pool.coordinator,
      openStore: () => stores.open(name),
      gateway: replica,
      isContinued: knowledge.has(name),
    });
    if (snapshot !== undefined) snapshots.set(name, snapshot);
    const pool: ControlPool = composeControlPool(poolConfig, config, {
      onConnectError: (error) => openFiles.failed('probe', error),
      viewStore: stores.viewStore(name),
      leaseMs: config.coordination.lease,
      replica,
      isRunning: () => lifecycle.state === 'Running',
      coordinatorEvents: coordinatorEvents(name, logger, metrics),
      newId: randomUUID,
      bindings,
      groups,
      traffic: {
        load,
        writeBack: (storeGeneration) =>
          Promise.all([workers.writeBack(name, storeGeneration), snapshot?.recall()]),
        wakeParked: () => workers.wakeParked(name),
        seenNames: () => workers.seenNames(name),
        explain: (question) => workers.explain({ ...question, pool: name }),
      },
      counted: {
        traffic: () => recent.traffic(name),
        relayed: (id) => (config.peers === undefined ? undefined : recent.relayed(name, id)),
        identitySources: () => recent.identitySources(name),
        history: histories.of(name),
      },
      workerParts: () => workers.oldestParts(name),
      publisher: { publish: () => workers.publish(name), mayActUntil: () => workers.mayActUntil(name) },
      earlierKnowledge: knowledge.get(name),
      probes: probes.of(name),
      ...(shared?.resolve === undefined ? {} : { resolve: shared.resolve }),
    });
    const { coordinator } = pool;
    if (!stores.isShared) {
      const { routingState } = coordinator;
      servedPools.set(name, {
        store,
        fencingToken: () => routingState.fencingToken,
        epoch: () => coordinator.agreed.epoch,
        together: stores.together,
      });
    }
    workers.addPool(name, {
      get snapshot() {
        return coordinator.snapshot;
      },
      confirm: (viewId) => coordinator.confirm(viewId),
      suspect: (instance) => coordinator.suspect(instance),
      renew: () => coordinator.renew(),
      storeFailed: (claim) => coordinator.storeFailed(claim),
      counts: () => bindings.counts ?? new Map(),
      // A copy, because a message must not change after it was sent.
      addresses: () => new Map(pool.addresses()),
      knowledge: () => ({ agreed: coordinator.agreed, policy: coordinator.lastSync.policy }),
    });
    return pool;
  };
  for (const poolConfig of config.pools) pools.push(compose(poolConfig));
  opened.add(async () => {
    for (const pool of pools) await pool.close({ leave: isLeaving });
  });
  opened.add(async () => {
    for (const snapshot of snapshots.values()) await snapshot.close();
  });

  const scheme = config.admin.tls === undefined ? 'http' : 'https';
  const admin = composeAdmin(config, {
    pools: pools.map(({ source }) => source),
    metrics,
    // Its lines name operators and where they are; the security log keeps those.
    logger: processLog,
    replica,
    secret: init.secret,
    shownConfig,
    shownOptions,
    startedAt: new Date(init.host.startedAt),
    state: () => lifecycle.state,
    lifecycle: {
      maintain: (on, why) => channel.ask({ kind: 'maintenance', on, why }),
      stop: (why, softTimeoutMs) =>
        channel.ask({ kind: 'stop', why, ...(softTimeoutMs === undefined ? {} : { softTimeoutMs }) }),
      restart: (why) => channel.ask({ kind: 'restart', why }),
      reload: (why) => channel.ask({ kind: 'reload', why }),
    },
    previewReload: () => previewReload(channel),
    recordGatewayEvent: gatewayEvents.record,
    inFlight: () => workers.inFlight,
    recentRequests: (query) => workers.recentRequests(query),
    recent,
    lines: () => kept.lines,
    storeVersion: () => stores.version(),
    isShared: stores.isShared,
    gateways: stores.gateways,
    advertised: () => advertisedUrl(config.admin.advertise, scheme, admin.server.server.address()),
    scrape: async () => {
      await workers.refreshMetrics();
      const text = await hostMetrics.text();
      // Counters must not go back when another controller takes over.
      await tellTotals('workers');
      return text;
    },
    showName: (name) => displayed(name, showName),
  });
  const clock = watchClock(config, (isTrustworthy, reason) => {
    for (const { coordinator } of pools) coordinator.trustClock(isTrustworthy, reason);
  });
  void Promise.all(pools.map(({ coordinator }) => coordinator.settled())).then(() => channel.settled());
  await Promise.all([...pools.map((pool) => pool.start()), recent.start()]);
  opened.add(() => recent.stop());
  for (const snapshot of snapshots.values()) snapshot.start();
  histories.start();
  opened.add(() => histories.stop());
  clock.start();
  opened.add(() => clock.stop());
  const totalsTimer = setInterval(() => void tellTotals('workers'), TOTALS_EVERY_MS);
  opened.add(() => clearInterval(totalsTimer));
  opened.add(() => closeAdmin(admin));
  await admin.server.ready();
  await listenOn(admin.server.server, whereToListen(init, 'admin', config.admin.address));
  warnIfOpen(config.admin, admin.server.server.address(), logger);
  if (stores.gateways !== undefined) {
    const announced = new GatewayAnnouncer({ registry: stores.gateways, entry: () => admin.entry() });
    announcer = announced;
    for (const { coordinator } of pools) coordinator.onChange(() => announced.changed());
    opened.add(() => announced.close({ remove: isLeaving }));
    announced.start();
  }
  // Loaded on use: it brings the parser of XML.
  const sapControl =
    config.sapcontrol &&
    (await import('./sapcontrol.ts')).composeSapControl(config, config.sapcontrol, host.parts, metrics);
  if (sapControl !== undefined) {
    opened.add(() => sapControl.close());
    await sapControl.listen(init.sockets.sapcontrol);
    const { url } = sapControl;
    if (url !== undefined)
      logger.info({ address: url, socket: config.sapcontrol?.socket }, 'sapcontrol listening');
  }

  return {
    // Computed on use: a socket from a service manager may be a Unix socket, which has no URL.
    get adminUrl() {
      return urlOf(scheme, admin.server.server.address() as AddressInfo);
    },
    get sapControlUrl() {
      return sapControl?.url;
    },
    status: () => admin.status(),
    end: async ({ kind }: ShutdownCommand) => {
      isLeaving = kind === 'leave';
      await opened.close();
    },
  };
}

/** @throws ActRefused if the supervisor refuses, or is of a release that cannot tell */
async function previewReload(channel: HostChannel): Promise<ReloadPreview> {
  const answer = await channel.ask({ kind: 'preview-reload' });
  if (!answer.ok) throw new ActRefused(409, answer.message);
  if (answer.preview !== undefined) return answer.preview;
  throw new ActRefused(
    409,
    'the supervisor of this gateway is of an earlier release: stop the gateway and start it again, or ask `ici-gateway check --against`',
  );
}

/** Lets pending requests finish first: one of them may have asked for the change that ends this process. */
async function closeAdmin({ server }: Admin): Promise<void> {
  server.server.close();
  const closeTimer = setTimeout(() => server.server.closeAllConnections(), LAST_ANSWERS_MS);
  await server.close();
  clearTimeout(closeTimer);
}
