import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { effectiveConfig } from '../config/effective.ts';
import type { Config } from '../config/schema.ts';
import { Coordinators } from '../coordination/coordinators.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { ControlAnswer } from '../core/lifecycle.ts';
import type { StopTimes } from '../process/lifecycle-driver.ts';
import { Lifecycle } from '../process/lifecycle-driver.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { bindOptions, listenOn, urlOf } from './addresses.ts';
import type { Admin } from './admin.ts';
import { composeAdmin } from './admin.ts';
import { watchClock } from './clock.ts';
import { composeListener, cutOff } from './data-listener.ts';
import { bindingsEvents, coordinatorEvents } from './events.ts';
import { displayed, nameDisplay, replicaName } from './names.ts';
import type { RunningPool } from './pool.ts';
import { composePool } from './pool.ts';
import { composeSapControl, soleProcess } from './sapcontrol.ts';
import { openStores } from './stores.ts';

export interface Gateway {
  /** Where clients connect, such as `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly adminUrl: string;
  /** Where the SAPControl web service is, if it is configured. */
  readonly sapControlUrl: string | undefined;
  readonly metrics: Metrics;
  status(): GatewayStatus;
  /** Resolves when it is no longer Starting. */
  readonly running: Promise<void>;
  /** Soft shutdown; see {@link Lifecycle.stop}. Resolves when everything has ended. */
  stop(why: string, times?: StopTimes): Promise<void>;
  /** Resolves when the gateway has ended. Operators can stop it too, through its own ports. */
  readonly ended: Promise<void>;
  /** The same without a poll interval: what is under way may finish for up to `graceMs`, none without it. */
  close(graceMs?: number): Promise<void>;
}

const OK: ControlAnswer = { ok: true };
const TOO_EARLY: ControlAnswer = { ok: false, message: 'the gateway has not opened its port yet; try again' };
const SINGLE: ControlAnswer = {
  ok: false,
  message: 'a single process has no other to take its place; start it again, or give it workers',
};
const TOO_LATE: ControlAnswer = { ok: false, message: 'the gateway is stopping; start it again first' };

/**
 * Puts a gateway together and starts it, all in this process. Rejects, with
 * nothing left behind, when an address cannot be bound or the store cannot be
 * opened; a Redis that is away is no reason to reject.
 */
export async function startGateway(config: Config, logger: Logger): Promise<Gateway> {
  const metrics = new Metrics();
  const startedAt = new Date();
  const replica = replicaName(config);
  const showName = nameDisplay(config.logging.names);
  const running: RunningPool[] = [];
  const stores = await openStores(config, {
    onDown: () => {
      // Whether it is away for all, the ledger's answer tells, or its silence.
      for (const { coordinator } of running) void coordinator.renew();
    },
    onHearing: (state, detail) => {
      for (const { bindings } of running) bindings.hearing(state);
      logger.info({ state, detail }, 'connection for news of moved bindings');
    },
  });
  const closers: (() => Promise<unknown>)[] = [() => stores.close()];
  const lifecycle = new Lifecycle({
    ...config.lifecycle,
    onState: (state, why) => logger.info({ state, why }, state.toLowerCase()),
  });
  let inFlight = (): number => 0;
  let stop: Gateway['stop'] | undefined;

  const closeAll = async (): Promise<void> => {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) {
      await close().catch((error: unknown) => logger.error({ err: error }, 'could not close a part'));
    }
  };

  try {
    for (const pool of config.pools) {
      const events = bindingsEvents(pool.name, logger, metrics, (name) => displayed(name, showName));
      running.push(
        composePool(pool, config, {
          store: stores.open(pool.name),
          viewStore: stores.viewStore(pool.name),
          leaseMs: config.coordination.lease,
          replica,
          bindingsEvents: events,
          coordinatorEvents: coordinatorEvents(pool.name, logger, metrics),
          newId: randomUUID,
        }),
      );
    }
    closers.push(async () => {
      for (const pool of running) await pool.close();
    });
    const coordinators = new Coordinators(running.map(({ pool, coordinator }) => [pool.name, coordinator]));
    const clock = watchClock(config, (isTrustworthy, reason) => {
      for (const { coordinator } of running) coordinator.trustClock(isTrustworthy, reason);
    });
    closers.push(async () => clock.stop());

    const admin = composeAdmin(config, {
      pools: running.map(({ source }) => source),
      metrics,
      logger,
      replica,
      shownConfig: effectiveConfig(config),
      startedAt,
      state: () => lifecycle.state,
      lifecycle: {
        maintain: async (on, why) => (lifecycle.maintain(on, why) ? OK : TOO_LATE),
        stop: async (why, timeout) => {
          if (stop === undefined) return TOO_EARLY;
          void stop(why, timeout === undefined ? {} : { timeout });
          return OK;
        },
        restart: async () => SINGLE,
        reload: async () => SINGLE,
      },
      inFlight: () => inFlight(),
      showName: (name) => displayed(name, showName),
    });
    const adminUrl = await listenAdmin(admin, config, closers);
    logger.info({ address: adminUrl }, 'admin listening');

    const { listener, server } = await composeListener(
      config,
      running.map(({ pool }) => pool),
      coordinators,
      metrics,
      logger,
      showName,
      {
        state: () => admin.state(),
        get inMaintenance() {
          return lifecycle.inMaintenance;
        },
      },
    );
    inFlight = () => server.inFlight;
    closers.push(() => listener.fastify.close());
    const settled = Promise.all(running.map(({ coordinator }) => coordinator.settled()));
    // The ledger is asked before the port opens, so that the first request finds it, if it is there.
    await Promise.all(running.map((pool) => pool.start()));
    clock.start();
    await listener.fastify.ready();
    await listenOn(listener.fastify.server, bindOptions(config.listen.address));
    const scheme = config.listen.tls === undefined ? 'http' : 'https';
    const url = urlOf(scheme, listener.fastify.server.address() as AddressInfo);
    logger.info({ address: url }, 'listening');

    const ended = lifecycle.stopped.then(() => closeAll());
    const stopSoftly = async (why: string, times: StopTimes = {}): Promise<void> => {
      listener.drainer.announce();
      await lifecycle.stop(why, times, (_, cut) => {
        cut.addEventListener('abort', () => cutOff(listener, server, logger));
        return listener.drainer.stopAccepting();
      });
      await ended;
    };
    stop = stopSoftly;
    const sapControlUrl = await listenSapControl(config, closers, metrics, {
      startedAt,
      status: () => admin.status(),
      stop: stopSoftly,
      logger,
    });
    void settled.then(() => lifecycle.settled());

    return {
      url,
      adminUrl,
      sapControlUrl,
      metrics,
      status: () => admin.status(),
      running: lifecycle.started,
      ended,
      stop: stopSoftly,
      close: (graceMs = 0) => stopSoftly('closed', { pollInterval: 0, timeout: graceMs }),
    };
  } catch (error) {
    await lifecycle.stop('it could not start', { pollInterval: 0 }, closeAll);
    throw error;
  }
}

async function listenAdmin(
  { server }: Admin,
  config: Config,
  closers: (() => Promise<unknown>)[],
): Promise<string> {
  closers.push(() => {
    server.server.close();
    server.server.closeAllConnections();
    return server.close();
  });
  await server.ready();
  await listenOn(server.server, bindOptions(config.admin.address));
  return urlOf('http', server.server.address() as AddressInfo);
}

/** Where there is such a service, returns where it is. */
async function listenSapControl(
  config: Config,
  closers: (() => Promise<unknown>)[],
  metrics: Metrics,
  parts: Parameters<typeof soleProcess>[0],
): Promise<string | undefined> {
  if (config.sapcontrol === undefined) return undefined;
  const service = composeSapControl(config, config.sapcontrol, soleProcess(parts), metrics);
  const url = await service.listen();
  closers.push(() => service.close());
  parts.logger.info({ address: url, socket: config.sapcontrol.socket }, 'sapcontrol listening');
  return url;
}
