import { randomBytes } from 'node:crypto';
import type { ReadConfig } from '../config/read-config.ts';
import type { Config } from '../config/schema.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { StopTimes } from '../process/lifecycle-driver.ts';
import { Lifecycle } from '../process/lifecycle-driver.ts';
import { LocalChannels } from '../process/local-channels.ts';
import type {
  ChildRole,
  HostAnswer,
  HostLifecycle,
  HostRequest,
  Init,
  LiveChild,
} from '../process/messages.ts';
import { PROTOCOL } from '../process/messages.ts';
import type { Pool } from '../proxy/pool.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { RunningController } from './controller.ts';
import { startController } from './controller.ts';
import { replicaName } from './names.ts';
import type { SharedParts } from './shared-parts.ts';
import { openedOnce } from './shared-parts.ts';
import { openStores } from './stores.ts';
import type { RunningWorker } from './worker.ts';
import { startWorker } from './worker.ts';

export interface Gateway {
  /** Where clients connect, such as `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly adminUrl: string;
  /** The address of the SAPControl web service, if it is configured. */
  readonly sapControlUrl: string | undefined;
  readonly metrics: Metrics;
  readonly pools: readonly Pool[];
  status(): GatewayStatus;
  /** Resolves when it is no longer Starting. */
  readonly running: Promise<void>;
  /** Soft shutdown; see {@link Lifecycle.stop}. Resolves when everything has ended. */
  stop(why: string, times?: StopTimes): Promise<void>;
  /** Resolves when the gateway has ended. Operators can stop it too, through its own ports. */
  readonly ended: Promise<void>;
  /** Stops without a poll interval: pending requests may finish within `graceMs`, or are cut off at once without it. */
  close(graceMs?: number): Promise<void>;
}

const TOO_EARLY = 'the gateway has not opened its port yet; try again';
const SINGLE =
  'this gateway is a single process and cannot replace itself: stop it and start it again, or set workers';
const TOO_LATE = 'the gateway is stopping; start it again first';
// The controller ends in its own time, because no supervisor kills it. It does not read this value.
const UNLIMITED_MS = 0;

/**
 * Starts a gateway of a single process. It builds a controller and one worker as in separate processes, connects them
 * by channels in memory, and does the work of the supervisor.
 *
 * If an address cannot be bound or the store cannot be opened, it closes everything and rejects. A Redis that is away
 * is no reason to reject.
 *
 * @param shown the configuration with what operators see of it, if another process has read it; the rest replaces parts
 *   in tests
 */
export async function startGateway(
  config: Config,
  logger: Logger,
  {
    shown,
    ...replaced
  }: Partial<Pick<SharedParts, 'openStores' | 'resolve'>> & { readonly shown?: ReadConfig } = {},
): Promise<Gateway> {
  const shared: SharedParts = {
    metrics: new Metrics(),
    openStores: openedOnce(replaced.openStores ?? openStores),
    resolve: replaced.resolve,
  };
  let why = '';
  const lifecycle = new Lifecycle({
    ...config.lifecycle,
    onState: (state, reason) => {
      why = reason;
      logger.info({ state, why }, state.toLowerCase());
      channels.broadcast({ kind: 'lifecycle', lifecycle: hostLifecycle() });
    },
  });
  const hostLifecycle = (): HostLifecycle => ({
    state: lifecycle.state,
    inMaintenance: lifecycle.inMaintenance,
    why,
  });
  let onSettled = (): void => {};
  const settled = new Promise<void>((resolve) => {
    onSettled = resolve;
  });
  const channels = new LocalChannels({ onSettled, onRequest: async (what) => answer(what) });
  const read = shown ?? (await import('../config/shown-options.ts')).withShown(config);
  const initOf = initialMessages(read, hostLifecycle);
  let controller: RunningController | undefined;
  let worker: RunningWorker | undefined;
  let stop: Gateway['stop'] | undefined;
  let workerEnd: Promise<void> | undefined;

  const answer = (what: HostRequest): HostAnswer => {
    switch (what.kind) {
      case 'maintenance':
        if (!lifecycle.maintain(what.on, what.why)) return { ok: false, message: TOO_LATE };
        break;
      case 'stop': {
        if (stop === undefined) return { ok: false, message: TOO_EARLY };
        const { softTimeoutMs: timeout } = what;
        stop(what.why, timeout === undefined ? {} : { timeout }).catch((error: unknown) =>
          logger.error({ err: error }, 'an error occurred while stopping'),
        );
        break;
      }
      default:
        return { ok: false, message: SINGLE };
    }
    return { ok: true, lifecycle: hostLifecycle() };
  };
  const endWorker = (graceMs: number): Promise<void> => {
    workerEnd ??= worker?.end({ kind: 'drain', graceMs }) ?? Promise.resolve();
    return workerEnd;
  };
  const endAll = async (): Promise<void> => {
    await endWorker(0);
    channels.close(WORKER.id);
    channels.tell('controller', { kind: 'worker-gone', worker: WORKER });
    await controller?.end({ kind: 'leave', graceMs: UNLIMITED_MS });
  };

  try {
    // Ask the view store before the port opens, so that the first request already finds a view.
    controller = await startController(initOf('controller'), channels.open('controller'), logger, shared);
    const { adminUrl, sapControlUrl, status } = controller;
    logger.info({ address: adminUrl }, 'admin listening');
    channels.tell('controller', { kind: 'worker-started', worker: WORKER });
    worker = await startWorker(initOf('worker'), channels.open(WORKER.id), logger, shared);
    const { url, pools, abortPending } = worker;
    logger.info({ address: url }, 'listening');

    const ended = lifecycle.stopped.then(() => endAll());
    const stopSoftly = async (reason: string, times: StopTimes = {}): Promise<void> => {
      await lifecycle.stop(reason, times, (graceMs, over) => {
        over.addEventListener('abort', abortPending);
        return endWorker(graceMs);
      });
      await ended;
    };
    stop = stopSoftly;
    void settled.then(() => lifecycle.settled());

    return {
      url,
      adminUrl,
      sapControlUrl,
      metrics: shared.metrics,
      pools,
      status,
      running: lifecycle.started,
      ended,
      stop: stopSoftly,
      close: (graceMs = 0) => stopSoftly('closed', { pollInterval: 0, timeout: graceMs }),
    };
  } catch (error) {
    await lifecycle.stop('it could not start', { pollInterval: 0 }, endAll);
    throw error;
  }
}

const WORKER: LiveChild & { readonly id: 'worker-1' } = {
  id: 'worker-1',
  pid: process.pid,
  startedAt: Date.now(),
  isReady: true,
};

/** Makes the first message to a role. */
function initialMessages(
  { config, shownConfig, shownOptions }: ReadConfig,
  lifecycle: () => HostLifecycle,
): (role: ChildRole) => Init {
  const common = {
    kind: 'init',
    protocol: PROTOCOL,
    config,
    shownConfig,
    shownOptions,
    replica: replicaName(config),
    secret: randomBytes(32).toString('base64'),
    logLevel: config.logging.level,
    host: { pid: process.pid, startedAt: Date.now() },
    workers: [],
    sockets: {},
    surplusFds: [],
  } as const;
  return (role) => ({
    ...common,
    role,
    id: role === 'worker' ? WORKER.id : role,
    lifecycle: lifecycle(),
    controllerReady: role === 'worker',
  });
}
