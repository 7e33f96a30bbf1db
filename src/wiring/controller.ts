import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { StoreBindings } from '../affinity/store-bindings.ts';
import type { PoolConfig } from '../config/schema.ts';
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
import { HostMetrics } from '../telemetry/host-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { listenOn, urlOf, whereToListen } from './addresses.ts';
import type { Admin } from './admin.ts';
import { composeAdmin } from './admin.ts';
import { watchClock } from './clock.ts';
import type { ControlPool } from './control-pool.ts';
import { composeControlPool } from './control-pool.ts';
import { coordinatorEvents } from './events.ts';
import { displayed, nameDisplay } from './names.ts';
import { Opened } from './opened.ts';
import { composeSapControl, supervised } from './sapcontrol.ts';
import type { SharedParts } from './shared-parts.ts';
import { openStores } from './stores.ts';

// Healthy workers answer at once. A worker that hangs may act on what it knows until its lease ends.
const MEET_MS = 500;
// A client that reads a page slowly does not delay the next controller.
const LAST_ANSWERS_MS = 1_000;
// As often as workers send their counters, and for the same reason: the process that counted may be killed next.
const TOTALS_EVERY_MS = 5_000;

export interface RunningController extends RunningChild {
  readonly adminUrl: string;
  /** Where the SAPControl web service is, if it is configured. */
  readonly sapControlUrl: string | undefined;
  status(): GatewayStatus;
}

/**
 * Puts together and starts what decides and is operated. In a process of its
 * own no load on the workers slows its probes.
 *
 * @param shared with a worker in the same process
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
    // A process of its own ends next, and must not leave the agreement: another one goes on as the same replica.
    if (isOneProcess(init)) await opened.close();
    throw error;
  }
}

async function start(
  init: Init,
  channel: HostChannel,
  logger: Logger,
  opened: Opened,
  shared: SharedParts | undefined,
): Promise<RunningController> {
  const { config, replica, shownConfig } = init;
  const metrics = shared?.metrics ?? new Metrics();
  const hostMetrics = new HostMetrics(metrics.registry, init.host.startedAt);
  const showName = nameDisplay(config.logging.names, init.secret);
  let lifecycle: HostLifecycle = init.lifecycle;
  const tellTotals = async (to: WorkerId | 'workers'): Promise<void> => {
    // For the next controller, which one process has not.
    if (shared !== undefined) return;
    channel.send(to, { kind: 'totals', totals: await hostMetrics.totals() } satisfies ToWorker);
  };
  const desks = new Map<string, ServedPool>();
  const workers: Workers = new Workers({
    methodsFor: (asking) =>
      new EmbeddedStoreServer(desks, (pool, news) =>
        workers.sendToOthers(asking, { kind: 'store', pool, news }),
      ),
    send: (to, body) => channel.send(to, body),
    // The same share as a gateway's own lease, for the same reason: what workers are told takes time.
    leaseMs: config.coordination.lease * LEASE_SHARE,
    watchdogMs: config.lifecycle.watchdogTimeout,
    ...(shared === undefined ? {} : { loadNow: () => shared.workerLoad?.() }),
    onMetrics: (worker, snapshot) => hostMetrics.update(worker, snapshot),
    onGone: (worker) => {
      hostMetrics.ended(worker);
      void tellTotals('workers');
    },
    onHello: (worker, totals) => {
      hostMetrics.inherit(totals);
      void tellTotals(worker);
    },
  });
  // Register existing workers before handling events; otherwise we would wait forever for one that has already exited.
  const meeting = workers.collectKnowledge(
    init.workers.map(({ id }) => id as WorkerId),
    MEET_MS,
  );
  const host = supervised({ init, channel, logger, status: () => admin.status() });
  workers.listen(channel, (event) => {
    host.heard(event);
    switch (event.kind) {
      case 'lifecycle':
        lifecycle = event.lifecycle;
        break;
      case 'log-level':
        logger.level = event.level;
        break;
    }
  });
  const knowledge = await meeting;

  const pools: ControlPool[] = [];
  const stores = await (shared?.openStores ?? openStores)(
    config,
    {
      onDown: () => {
        for (const { coordinator } of pools) void coordinator.renew();
      },
      onHearing: () => {
        // News of moves is for those who cache bindings.
      },
    },
    // Workers from before know the agents.
    knowledge.size > 0,
  );
  let isLeaving = true;
  opened.add(() => stores.close());
  opened.add(() => workers.close());
  opened.add(() => tellTotals('workers'));
  const compose = (poolConfig: PoolConfig): ControlPool => {
    const { name } = poolConfig;
    const load = () => workers.load(name);
    const store = stores.open(name);
    const bindings = new StoreBindings(store, () => load().cachedBindings);
    const pool = composeControlPool(poolConfig, config, {
      viewStore: stores.viewStore(name),
      leaseMs: config.coordination.lease,
      replica,
      coordinatorEvents: coordinatorEvents(name, logger, metrics),
      newId: randomUUID,
      bindings,
      traffic: {
        load,
        writeBack: (life) => workers.writeBack(name, life),
        wakeParked: () => workers.wakeParked(name),
      },
      registered: () => workers.oldestParts(name),
      publisher: { publish: () => workers.publish(name), mayActUntil: () => workers.mayActUntil(name) },
      knew: knowledge.get(name),
      ...(shared?.resolve === undefined ? {} : { resolve: shared.resolve }),
    });
    const { coordinator } = pool;
    if (!stores.isShared) {
      const { routingState } = coordinator;
      desks.set(name, {
        store,
        fencingToken: () => routingState.fencingToken,
        epoch: () => coordinator.agreed.epoch,
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
      // A copy: what is sent must not change afterwards.
      addresses: () => new Map(pool.addresses()),
      knowledge: () => ({ agreed: coordinator.agreed, policy: coordinator.lastSync.policy }),
    });
    return pool;
  };
  for (const poolConfig of config.pools) pools.push(compose(poolConfig));
  opened.add(async () => {
    for (const pool of pools) await pool.close({ leave: isLeaving });
  });

  const admin = composeAdmin(config, {
    pools: pools.map(({ source }) => source),
    metrics,
    logger,
    replica,
    shownConfig,
    startedAt: new Date(init.host.startedAt),
    state: () => lifecycle.state,
    lifecycle: {
      maintain: (on, why) => channel.ask({ kind: 'maintenance', on, why }),
      stop: (why, softTimeoutMs) =>
        channel.ask({ kind: 'stop', why, ...(softTimeoutMs === undefined ? {} : { softTimeoutMs }) }),
      restart: (why) => channel.ask({ kind: 'restart', why }),
      reload: (why) => channel.ask({ kind: 'reload', why }),
    },
    inFlight: () => workers.inFlight,
    scrape: async () => {
      await workers.refreshMetrics();
      const text = await hostMetrics.text();
      // A successor must not show less than was shown.
      await tellTotals('workers');
      return text;
    },
    showName: (name) => displayed(name, showName),
  });
  const clock = watchClock(config, (isTrustworthy, reason) => {
    for (const { coordinator } of pools) coordinator.trustClock(isTrustworthy, reason);
  });
  void Promise.all(pools.map(({ coordinator }) => coordinator.settled())).then(() => channel.settled());
  await Promise.all(pools.map((pool) => pool.start()));
  clock.start();
  opened.add(() => clock.stop());
  const telling = setInterval(() => void tellTotals('workers'), TOTALS_EVERY_MS);
  opened.add(() => clearInterval(telling));
  opened.add(() => closeAdmin(admin));
  await admin.server.ready();
  await listenOn(admin.server.server, whereToListen(init, 'admin', config.admin.address));
  let sapControlUrl: string | undefined;
  if (config.sapcontrol !== undefined) {
    const sapControl = composeSapControl(config, config.sapcontrol, host.parts, metrics);
    sapControlUrl = await sapControl.listen(init.sockets.sapcontrol);
    opened.add(() => sapControl.close());
    logger.info({ address: sapControlUrl, socket: config.sapcontrol.socket }, 'sapcontrol listening');
  }

  return {
    // A socket that a service manager passes may be a Unix one.
    get adminUrl() {
      return urlOf('http', admin.server.server.address() as AddressInfo);
    },
    sapControlUrl,
    status: () => admin.status(),
    end: async ({ kind }: ShutdownCommand) => {
      isLeaving = kind === 'leave';
      await opened.close();
    },
  };
}

/** Who asked for what ends this process is still answered. */
async function closeAdmin({ server }: Admin): Promise<void> {
  server.server.close();
  const cut = setTimeout(() => server.server.closeAllConnections(), LAST_ANSWERS_MS);
  await server.close();
  clearTimeout(cut);
}
