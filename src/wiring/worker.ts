import type { AddressInfo } from 'node:net';
import type { PoolConfig } from '../config/schema.ts';
import { ActRefused } from '../core/act-refused.ts';
import type { ExplainQuestion, Explanation } from '../core/explanation.ts';
import type { LifecycleState } from '../core/lifecycle.ts';
import { shownState } from '../core/lifecycle.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { RequestQuery, WorkerRequests } from '../core/recent-requests.ts';
import type { CallMessage } from '../process/ipc/calls.ts';
import { Calls } from '../process/ipc/calls.ts';
import type {
  ControllerCalls,
  ToController,
  ToWorker,
  WorkerCalls,
  WorkerLoad,
} from '../process/ipc/messages.ts';
import { RemoteCoordinator } from '../process/ipc/remote-coordinator.ts';
import { requireStore } from '../process/ipc/require-store.ts';
import type { HostChannel, HostEvent, Init, RunningChild, ShutdownCommand } from '../process/messages.ts';
import { isOneProcess } from '../process/messages.ts';
import type { Pool } from '../proxy/pool.ts';
import { listenOn } from '../sockets/listen.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Totals } from '../telemetry/totals.ts';
import { urlOf, whereToListen } from './addresses.ts';
import { watchClock } from './clock.ts';
import { composeListener, cutOff } from './data-listener.ts';
import type { DataPool } from './data-pool.ts';
import { composeBindings, composeDataPool } from './data-pool.ts';
import { bindingsEvents } from './events.ts';
import { composeGroups } from './groups.ts';
import { displayed, nameDisplay } from './names.ts';
import { composeOpenFiles } from './open-files.ts';
import { Opened } from './opened.ts';
import { poolParts } from './pool-parts.ts';
import { listenForPeers } from './relaying.ts';
import { everySecond } from './second-timer.ts';
import type { SharedParts } from './shared-parts.ts';
import { openWorkerStores } from './stores.ts';

// As long as the controller may wait for the store.
const RENEW_MS = 1_000;
// Short compared to the time in which the controller notices a silent instance.
const LOAD_EVERY_MS = 250;
const METRICS_EVERY_MS = 5_000;
const TEND_EVERY_MS = 1_000;
// The longest that a replacing worker waits for its view before it serves. Without a view its requests would wait.
const FIRST_VIEW_MS = 5_000;

export interface RunningWorker extends RunningChild {
  /** Where clients connect. */
  readonly url: string;
  readonly pools: readonly Pool[];
  /** Resets the pending requests during a stop, or just before one. */
  abortPending(): void;
}

/**
 * Builds and starts the data plane. The controller decides about instances and sends the result.
 *
 * @param shared the parts shared with a controller in the same process
 */
export async function startWorker(
  init: Init,
  channel: HostChannel,
  logger: Logger,
  shared?: SharedParts,
): Promise<RunningWorker> {
  const opened = new Opened(logger);
  try {
    return await start(init, channel, logger, opened, shared);
  } catch (error) {
    // A worker in its own process ends now, which closes everything.
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
): Promise<RunningWorker> {
  const { config } = init;
  const metrics = shared?.metrics ?? new Metrics();
  const openFiles = composeOpenFiles(config, metrics, logger);
  const showName = nameDisplay(config.logging.names, init.secret);
  const tell = (body: ToController | CallMessage): void => channel.send('controller', body);
  const parts = new Map(config.pools.map((pool) => [pool.name, poolParts(pool, config)]));
  const pools: (DataPool & { readonly bindings: ReturnType<typeof composeBindings> })[] = [];

  let totals: Totals | undefined;
  // A controller in the same process reads the shared metrics itself.
  const readMetrics = async (): Promise<readonly unknown[]> =>
    shared === undefined ? metrics.registry.getMetricsAsJSON() : [];
  const bindingsOf = (pool: Pool) =>
    (pools.find((one) => one.pool === pool) as (typeof pools)[number]).bindings;
  let explain = (_question: ExplainQuestion): Promise<Explanation> =>
    Promise.reject(new ActRefused(409, 'this worker is starting: try again'));
  let findRequests = (_query: RequestQuery): WorkerRequests => {
    throw new Error('this worker is starting');
  };
  const calls = new Calls(tell, {
    writeBack: async (name, storeGeneration) => {
      // A controller with a newer configuration may name a pool that this worker does not have.
      await pools.find(({ pool }) => pool.name === name)?.bindings.writeBack(storeGeneration);
    },
    metrics: readMetrics,
    aliases: async (name, key) => pools.find(({ pool }) => pool.name === name)?.bindings.aliasesOf(key),
    seenNames: async (name) => metrics.names.ofLastHour(name),
    recentRequests: async (query) => findRequests(query),
    explain: (question) =>
      explain(question).catch((error: unknown) => {
        if (!(error instanceof StoreUnavailable || error instanceof ActRefused))
          logger.error({ err: error }, 'explaining a request failed');
        throw error;
      }),
  } satisfies WorkerCalls);
  const controller: ControllerCalls = {
    renew: async (pool) => void (await calls.call('renew', [pool], RENEW_MS)),
    storeFailed: async (pool, since, wasLate) =>
      void (await calls.call('storeFailed', [pool, since, wasLate], RENEW_MS)),
  };
  const coordinator = new RemoteCoordinator({
    pools: config.pools.map(({ name, mode, instances }) => ({
      name,
      mode,
      instances: new Set(instances.map(({ id }) => id)),
    })),
    onAdopted: (pool, viewId) => tell({ kind: 'adopted', pool, viewId }),
    onSuspect: (pool, instance) => tell({ kind: 'suspect', pool, instance }),
    controller,
  });
  const stores = await openWorkerStores(
    config,
    {
      onDown: () => {
        // Ask the view store: its answer, or none, shows whether the store is away for all commands.
        for (const { name } of config.pools) void coordinator.renew(name);
      },
      onHearing: (state, detail) => {
        for (const { bindings } of pools) bindings.hearing(state);
        logger.info({ state, detail }, 'connection for news of moved bindings');
      },
    },
    calls,
    shared,
  );
  opened.add(() => stores.close());
  const compose = (poolConfig: PoolConfig): (typeof pools)[number] => {
    const { name } = poolConfig;
    const groups = composeGroups(poolConfig, logger);
    const bindings = composeBindings(
      config,
      stores.open(name),
      init.replica,
      {
        ...bindingsEvents(name, logger, metrics, (one) => displayed(one, showName)),
        onDecidedAlone: (binding, aliases) => tell({ kind: 'decided-alone', pool: name, binding, aliases }),
      },
      () => coordinator.agreedEpoch(name),
      groups,
    );
    const control = {
      routingState: coordinator.routingState(name),
      onChange: (listener: () => void) => void coordinator.onChange(name, listener),
      boundAgents: (instance: string) => coordinator.boundAgents(name, instance),
      addresses: (instance: string) => coordinator.addresses(name, instance),
    };
    const data = composeDataPool(poolConfig, config, {
      bindings,
      groups,
      control,
      onConnectError: (error) => openFiles.failed('connect', error),
    });
    coordinator.beforeAdopting(name, data.giveUp);
    return { ...data, bindings };
  };
  for (const poolConfig of config.pools) pools.push(compose(poolConfig));
  opened.add(async () => {
    for (const pool of pools) {
      await pool.close();
      await pool.bindings.close();
    }
  });
  opened.add(() => calls.fail('the worker ends'));

  let { state } = init.lifecycle;
  const gatewayState = {
    state: () =>
      shownState(state, {
        isDrifted: pools.some(({ pool }) => pool.routingState.isDrifted === true),
        isCutOff: pools.some(
          ({ pool: { routingState } }) =>
            routingState.cutOff.size > 0 || routingState.claimFailure !== undefined,
        ),
      }),
    // A field, not a getter, because every request reads it.
    inMaintenance: init.lifecycle.inMaintenance,
  };
  const { listener, server, explainer, recent } = await composeListener(
    init,
    pools.map(({ pool }) => pool),
    coordinator,
    metrics,
    logger,
    showName,
    gatewayState,
    openFiles,
    (pool) => bindingsOf(pool).explained(),
  );
  explain = (question) => explainer.explain(question);
  findRequests = (query) => recent.find(query);

  opened.add(() => listener.fastify.close());

  // A worker started during shutdown gets no lifecycle event, so announce the state now.
  if (isEnding(state)) listener.drainer.announce();

  const tellMetrics = async (): Promise<void> => tell({ kind: 'metrics', metrics: await readMetrics() });
  const loadNow = (): WorkerLoad => ({
    pools: new Map(pools.map((one) => [one.pool.name, one.load()])),
    inFlight: server.inFlight,
  });
  const tellLoad = (): void => tell({ kind: 'load', load: loadNow() });
  const hello = (): void => {
    tell({ kind: 'hello', knowledge: coordinator.knowledge, totals, parts });
    tellLoad();
    // A new controller has no counters yet, and this worker may be killed at any time.
    void tellMetrics();
  };
  // Set the handlers last: they receive earlier messages at once, and need everything above.
  channel.onMessage((body) => {
    if (calls.take(body)) return;
    const message = body as ToWorker;
    switch (message.kind) {
      case 'bulletin':
        coordinator.apply(message);
        break;
      case 'pools':
        coordinator.setPools(message.pools);
        break;
      case 'reassured':
        pools.find(({ pool }) => pool.name === message.pool)?.wakeParked();
        break;
      case 'who':
        hello();
        break;
      case 'totals':
        totals = message.totals;
        break;
      case 'store':
        stores.remote.get(message.pool)?.applyNews(message.news);
        break;
    }
  });
  channel.onEvent((event: HostEvent) => {
    switch (event.kind) {
      case 'controller-ready':
        hello();
        for (const store of stores.remote.values()) store.signalGap();
        break;
      case 'controller-gone':
        calls.fail('the controller has ended');
        break;
      case 'log-level':
        logger.level = event.level;
        break;
      case 'lifecycle':
        ({ state, inMaintenance: gatewayState.inMaintenance } = event.lifecycle);
        if (isEnding(state)) listener.drainer.announce();
        break;
    }
  });
  const clock = watchClock(config, (isTrustworthy) => {
    if (!isTrustworthy) coordinator.dropLeases();
  });
  clock.start();
  opened.add(() => clock.stop());
  const timers = [
    setInterval(() => {
      const mono = performance.now();
      const wall = Date.now();
      for (const { pool, bindings } of pools) {
        if (pool.routingState.modeAt(mono, wall) === 'leased') void bindings.tend();
      }
    }, TEND_EVERY_MS),
  ];
  // A controller in the same process reads load and metrics itself.
  if (shared === undefined) {
    timers.push(setInterval(tellLoad, LOAD_EVERY_MS));
    timers.push(setInterval(() => void tellMetrics(), METRICS_EVERY_MS));
  }

  const tellSecond = (second: number): void =>
    tell({ kind: 'second', second, counts: metrics.seconds.take() });
  const stopSeconds = everySecond(tellSecond);

  opened.add(() => {
    for (const timer of timers) clearInterval(timer);
    stopSeconds();
  });

  if (shared !== undefined) shared.workerLoad = loadNow;
  if (init.controllerReady) hello();
  // While the whole gateway starts, the controller has no view yet.
  if (init.lifecycle.state !== 'Starting') await coordinator.settled(FIRST_VIEW_MS);
  requireStore(
    pools.map(({ pool }) => pool),
    init.workers,
  );
  await listener.fastify.ready();
  await listenOn(listener.fastify.server, whereToListen(init, 'data', config.listen.address));
  const peers = await listenForPeers(
    init,
    pools.map(({ pool }) => pool),
    metrics,
    logger,
  );
  opened.add(() => peers?.abortAll());
  let isCut = false;
  const abortPending = (): void => {
    if (!isCut) cutOff(listener, server, logger);
    isCut = true;
    peers?.abortAll();
  };

  return {
    // Computed on use: a socket from a service manager may be a Unix socket, which has no URL.
    get url() {
      const scheme = config.listen.tls === undefined ? 'http' : 'https';
      return urlOf(scheme, listener.fastify.server.address() as AddressInfo);
    },
    pools: pools.map(({ pool }) => pool),
    abortPending,
    end: async ({ graceMs }: ShutdownCommand) => {
      const timer = setTimeout(abortPending, graceMs);
      await Promise.all([listener.drainer.stopAccepting(), peers?.stopAccepting()]);
      clearTimeout(timer);
      // The counters since the last report belong to the gateway and must outlive this process.
      await tellMetrics();
      tellSecond(Math.floor(Date.now() / 1_000));
      await opened.close();
    },
  };
}

function isEnding(state: LifecycleState): boolean {
  return state === 'Stopping' || state === 'Draining' || state === 'Stopped';
}
