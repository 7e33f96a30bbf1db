import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { storedForm } from './affinity/stored-name.ts';
import type { Admin } from './composition/admin.ts';
import { composeAdmin } from './composition/admin.ts';
import { bindingsEvents, coordinatorEvents } from './composition/events.ts';
import type { RunningPool } from './composition/pool.ts';
import { composePool } from './composition/pool.ts';
import { openStores } from './composition/stores.ts';
import type { Config } from './config/schema.ts';
import { readListenerTls } from './config/secrets.ts';
import { parseAddress } from './config/syntax.ts';
import type { GatewayStatus } from './control-plane/status.ts';
import { ClockWatch } from './coordination/clock-watch.ts';
import { Coordinators } from './coordination/coordinators.ts';
import type { Name } from './core/identity.ts';
import { Identifier } from './data-plane/identify.ts';
import type { Listener } from './data-plane/listener.ts';
import { createListener } from './data-plane/listener.ts';
import { PoolTable } from './data-plane/pools.ts';
import { Recorder } from './data-plane/record.ts';
import { Router } from './data-plane/router.ts';
import { Server } from './data-plane/serve.ts';
import { TrustedProxies } from './data-plane/trusted-proxies.ts';
import { MetadataExtractor } from './identity/metadata.ts';
import type { StopTimes } from './process/lifecycle-driver.ts';
import { Lifecycle } from './process/lifecycle-driver.ts';
import { BodySearch } from './soap/body-search.ts';
import type { Logger } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';

export interface Gateway {
  /** Where clients connect, such as `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly adminUrl: string;
  readonly metrics: Metrics;
  status(): GatewayStatus;
  /** Resolves when it is no longer Starting. */
  readonly running: Promise<void>;
  /** Soft shutdown; see {@link Lifecycle.stop}. Resolves when everything has ended. */
  stop(why: string, times?: StopTimes): Promise<void>;
  /** The same without a poll interval: what is under way may finish for up to `graceMs`, none without it. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Puts a gateway together and starts it, all in this process. Rejects, with
 * nothing left behind, when an address cannot be bound or the store cannot be
 * opened; a Redis that is away is no reason to reject.
 */
export async function startGateway(config: Config, logger: Logger): Promise<Gateway> {
  const metrics = new Metrics();
  const startedAt = new Date();
  const replica = `${(config.coordination.replica ?? hostname()).slice(0, 50)}-${randomBytes(3).toString('hex')}`;
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
  let onStarted = (): void => {};
  const started = new Promise<void>((resolve) => {
    onStarted = resolve;
  });
  const lifecycle = new Lifecycle({
    ...config.lifecycle,
    onState: (state, why) => {
      logger.info({ state, why }, state.toLowerCase());
      onStarted();
    },
  });
  let inFlight = (): number => 0;

  const closeAll = async (): Promise<void> => {
    for (const close of closers.reverse()) {
      await close().catch((error: unknown) => logger.error({ err: error }, 'could not close a part'));
    }
  };

  try {
    for (const pool of config.pools) {
      const events = bindingsEvents(pool.name, logger, metrics, (name) => displayed(name, showName));
      running.push(
        composePool(pool, config, {
          store: stores.open(pool.name),
          ledger: stores.ledger(pool.name),
          leaseMs: stores.isShared ? config.coordination.lease : Number.POSITIVE_INFINITY,
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
    const clock = watchClock(config, running);
    closers.push(async () => clock.stop());

    const admin = composeAdmin(config, {
      pools: running.map(({ source }) => source),
      metrics,
      logger,
      replica,
      startedAt,
      state: () => lifecycle.state,
      inFlight: () => inFlight(),
      showName: (name) => displayed(name, showName),
    });
    const adminUrl = await listenAdmin(admin, config, closers);
    logger.info({ address: adminUrl }, 'admin listening');

    const { listener, server } = await composeListener(
      config,
      running,
      coordinators,
      metrics,
      logger,
      showName,
    );
    inFlight = () => server.inFlight;
    closers.push(() => listener.fastify.close());
    const settled = Promise.all(running.map(({ coordinator }) => coordinator.settled()));
    // The ledger is asked before the port opens, so that the first request finds it, if it is there.
    await Promise.all(running.map((pool) => pool.start()));
    clock.start();
    await listener.fastify.listen({ ...bindOptions(config.listen.address), backlog: 4_096 });
    const scheme = config.listen.tls === undefined ? 'http' : 'https';
    const url = urlOf(scheme, listener.fastify.server.address() as AddressInfo);
    logger.info({ address: url }, 'listening');

    let ended: Promise<void> | undefined;
    const closeAfter = async (stopped: Promise<void>): Promise<void> => {
      try {
        await stopped;
      } finally {
        await closeAll();
      }
    };
    const stop = (why: string, times: StopTimes = {}): Promise<void> => {
      const stopped = lifecycle.stop(why, times, (_, cut) => endListener(listener, cut));
      listener.ending.announce();
      ended ??= closeAfter(stopped);
      return ended;
    };
    void settled.then(() => lifecycle.settled());

    return {
      url,
      adminUrl,
      metrics,
      status: () => admin.status(),
      running: started,
      stop,
      close: (graceMs = 0) => stop('closed', { pollInterval: 0, timeout: graceMs }),
    };
  } catch (error) {
    await lifecycle.stop('it could not start', { pollInterval: 0 }, closeAll);
    throw error;
  }
}

async function composeListener(
  config: Config,
  running: readonly RunningPool[],
  coordinator: Coordinators,
  metrics: Metrics,
  logger: Logger,
  showName: (name: string) => string,
): Promise<{ listener: Listener; server: Server }> {
  const { limits, timeouts, forwarding, listen, logging } = config;
  const trustedProxies = new TrustedProxies(forwarding.trustedProxies);
  const requestIdHeader = forwarding.requestIdHeader.toLowerCase();
  const listener = await createListener({
    tls: listen.tls === undefined ? undefined : readListenerTls(listen.tls),
    headerBytes: limits.headerBytes,
    headers: limits.headers,
    connections: limits.connections,
    headerTimeoutMs: timeouts.requestHeader,
    bodyTimeoutMs: timeouts.requestBody,
    idleTimeoutMs: timeouts.clientIdle,
    totalTimeoutMs: timeouts.total,
    trustedProxies,
    requestIdHeader,
    metrics,
    recorder: new Recorder({ metrics, logger, logRequests: logging.requests, showName }),
  });
  const server = new Server({
    pools: new PoolTable(running.map(({ pool }, i) => ({ match: config.pools[i]?.match ?? ANY, pool }))),
    identifier: composeIdentifier(config),
    router: new Router(coordinator),
    coordinator,
    forwarder: listener.forwarder,
    metrics,
    logger,
    faultStatus: config.faults.status,
    parkMs: timeouts.park,
    maxInFlight: limits.inFlight,
    maxBodyBytes: limits.bodyBytes,
    heldBytes: limits.identityBytes,
    trustedProxies,
    keepClientHost: forwarding.host === 'client',
    requestIdHeader,
    via: `1.1 ${forwarding.via}`,
    scheme: listen.tls === undefined ? 'http' : 'https',
  });
  listener.attach(server);
  return { listener, server };
}

const ANY = { hosts: [], paths: ['/'] };

function composeIdentifier({ identity, limits }: Config): Identifier {
  const { order } = identity;
  const asks = (source: 'header' | 'cookie' | 'body'): boolean => order.includes(source);
  const rules = [
    ...identity.userElements.map(({ name, ...rest }) => ({ kind: 'user' as const, local: name, ...rest })),
    ...identity.sessionElements.map(({ name, ...rest }) => ({
      kind: 'session' as const,
      local: name,
      ...rest,
    })),
  ];
  const before = (a: 'header' | 'cookie' | 'body', b: 'header' | 'cookie' | 'body'): boolean =>
    asks(a) && (!asks(b) || order.indexOf(a) < order.indexOf(b));
  return new Identifier({
    metadata: new MetadataExtractor({
      userHeader: asks('header') ? identity.userHeader : undefined,
      sessionCookie: asks('cookie') ? identity.sessionCookie : undefined,
    }),
    search: asks('body')
      ? new BodySearch(rules, { maxBytes: limits.identityBytes, maxDepth: limits.xmlDepth })
      : undefined,
    bodyFirst: before('body', 'header'),
    searchBytes: limits.identityBytes,
    onUnreadable: identity.onUnreadable,
    addressMask: identity.addressMask,
  });
}

/** A process that stood still, or whose clock jumped, has no opinion until it has measured again. */
function watchClock({ pools }: Config, running: readonly RunningPool[]): ClockWatch {
  return new ClockWatch({
    lagMs: Math.min(...pools.map(({ health }) => health.timeout)) / 2,
    calmMs: Math.max(...pools.map(({ health }) => health.fastInterval)) * 2,
    onChange: (isTrustworthy, reason) => {
      for (const { coordinator } of running) coordinator.trustClock(isTrustworthy, reason);
    },
  });
}

async function listenAdmin(
  { server }: Admin,
  config: Config,
  closers: (() => Promise<unknown>)[],
): Promise<string> {
  closers.push(() => server.close());
  await server.listen(bindOptions(config.admin.address));
  return urlOf('http', server.server.address() as AddressInfo);
}

function endListener({ ending }: Listener, cut: AbortSignal): Promise<void> {
  cut.addEventListener('abort', () => ending.cut());
  return ending.stopAccepting();
}

/** Hashed names can be told apart within one run of the gateway and, without its key, not be guessed. */
function nameDisplay(names: 'readable' | 'hashed'): (name: string) => string {
  if (names === 'readable') return (name) => name;
  const key = randomBytes(32);
  return (name) => createHmac('sha256', key).update(name).digest('base64url').slice(0, 12);
}

/** A session value opens the session to whoever reads it, so its stored form, a digest, stands for it. */
function displayed(name: Name, showName: (name: string) => string): string {
  return `${name.kind}:${name.kind === 'session' ? storedForm(name).value : showName(name.value)}`;
}

function bindOptions(address: string): { host: string; port: number } {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`cannot listen on ${address}: write host:port`);
  return parsed;
}

function urlOf(scheme: string, { address, port, family }: AddressInfo): string {
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
