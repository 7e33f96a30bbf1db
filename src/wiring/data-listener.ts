import type { Server as TlsServer } from 'node:tls';
import type { PoolConfig } from '../config/schema.ts';
import { readListenerTls, readMaintenancePage, readTicketSecret } from '../config/secrets.ts';
import type { ExplainableBindings } from '../core/explainable-bindings.ts';
import type { GatewayState } from '../core/lifecycle.ts';
import type { Coordinator } from '../core/ports.ts';
import { StatePages } from '../core/state-page.ts';
import type { Init } from '../process/messages.ts';
import { tuneForStreams } from '../process/runtime.ts';
import { AccessLog, RequestRing } from '../proxy/access-log.ts';
import { Admission, PoolTable } from '../proxy/admission.ts';
import { Explainer } from '../proxy/explain.ts';
import { ProxyHandler } from '../proxy/handler.ts';
import type { Pool } from '../proxy/pool.ts';
import { RecentRequests } from '../proxy/recent-requests.ts';
import type { Listener } from '../proxy/server.ts';
import { createListener } from '../proxy/server.ts';
import { streams } from '../proxy/streams.ts';
import { TargetFinder } from '../proxy/target-finder.ts';
import { TrustedProxies } from '../proxy/trusted-proxies.ts';
import { TicketKeys } from '../sockets/ticket-keys.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { guardServer } from './connections.ts';
import { composeIdentifier, explainedNaming, lookedFor } from './identifier.ts';
import type { OpenFiles } from './open-files.ts';
import { composeProxyProtocol } from './proxy-protocol.ts';
import { composeRelaying } from './relaying.ts';

/** Builds the data plane, ready to listen. */
export async function composeListener(
  { config, secret }: Pick<Init, 'config' | 'secret'>,
  pools: readonly Pool[],
  coordinator: Coordinator,
  metrics: Metrics,
  logger: Logger,
  showName: (name: string) => string,
  gatewayState: GatewayState,
  openFiles: OpenFiles,
  explained: (pool: Pool) => ExplainableBindings,
): Promise<{ listener: Listener; server: ProxyHandler; explainer: Explainer; recent: RecentRequests }> {
  const { limits, timeouts, forwarding, listen, logging, maintenance } = config;
  const trustedProxies = new TrustedProxies(forwarding.trustedProxies);
  const requestIdHeader = forwarding.requestIdHeader.toLowerCase();
  const hidden = logging.names === 'readable' ? undefined : showName;
  const recent = new RequestRing();
  const tls = listen.tls && readListenerTls(listen.tls);
  const ticketKeyFile = listen.tls?.ticketKeyFile;
  const tickets =
    tls && new TicketKeys(ticketKeyFile === undefined ? secret : readTicketSecret(ticketKeyFile), tls);
  const listener = await createListener({
    tls: tls && { ...tls, ...tickets?.options(Date.now()) },
    headerBytes: limits.headerBytes,
    headers: limits.headers,
    connections: openFiles.connections,
    onDropped: openFiles.dropped,
    onGivenUp: openFiles.givenUp,
    inFlight: limits.inFlight,
    // As much as the bodies of all requests in flight may take.
    arrivingBytes: limits.inFlight * limits.identityBytes,
    headerTimeoutMs: timeouts.requestHeader,
    bodyTimeoutMs: timeouts.requestBody,
    idleTimeoutMs: timeouts.clientIdle,
    totalTimeoutMs: timeouts.total,
    proxyProtocol: composeProxyProtocol(config, metrics, logger),
    trustedProxies,
    requestIdHeader,
    faultStatus: config.faults.status,
    metrics,
    accessLog: new AccessLog({
      metrics,
      logger,
      logRequests: logging.requests,
      showName: hidden,
      recent,
    }),
  });
  const { server: httpServer } = listener.fastify;
  guardServer(httpServer, metrics, logger);
  tickets?.rotate(httpServer as unknown as TlsServer);
  const statePages = new StatePages(config.statePage);
  const table = poolTable(config.pools, pools);
  const admission = new Admission({
    pools: table,
    statePages,
    gatewayState,
    maxInFlight: limits.inFlight,
    shares: listener.shares,
    refusesUntrusted: forwarding.untrusted === 'refuse',
    via: forwarding.via,
  });
  const identifier = composeIdentifier(config);
  metrics.names.lookFor(lookedFor(config));
  const server = new ProxyHandler({
    admission,
    identifier,
    targets: new TargetFinder(coordinator),
    coordinator,
    forwarder: listener.forwarder,
    relaying: composeRelaying(config, metrics),
    metrics,
    logger,
    faultStatus: config.faults.status,
    parkMs: timeouts.park,
    maxBodyBytes: limits.bodyBytes,
    arriving: listener.shares.arriving,
    heldBytes: limits.identityBytes,
    keepClientHost: forwarding.host === 'client',
    requestIdHeader,
    via10: `1.0 ${forwarding.via}`,
    via11: `1.1 ${forwarding.via}`,
    keepsLookAlikes: forwarding.lookAlikes === 'keep',
    scheme: listen.tls === undefined ? 'http' : 'https',
    gatewayState,
    statePages,
    maintenance: {
      page: maintenance.pageFile === undefined ? undefined : readMaintenancePage(maintenance.pageFile),
      retryAfterSeconds: Math.ceil(maintenance.retryAfter / 1_000),
    },
  });
  listener.attach(server);
  streams.onBusy(tuneForStreams);
  const explainer = new Explainer({
    pools,
    table,
    admission,
    identifier,
    naming: explainedNaming(config),
    trustedProxies,
    explained,
    inFlight: () => server.inFlight,
    limits,
    maxBodyBytes: limits.bodyBytes,
    heldBytes: limits.identityBytes,
    parkMs: timeouts.park,
  });
  return { listener, server, explainer, recent: new RecentRequests(recent, hidden) };
}

/**
 * Maps the configured hosts and paths to the running pools.
 *
 * @throws if the running pools are not the configured ones, because requests could reach the wrong pool
 */
export function poolTable(
  configured: readonly Pick<PoolConfig, 'name' | 'match'>[],
  running: readonly Pool[],
): PoolTable<Pool> {
  const byName = new Map<string, Pool>();
  for (const pool of running) {
    if (byName.has(pool.name)) throw new Error(`pool ${pool.name} runs twice`);
    if (!configured.some(({ name }) => name === pool.name))
      throw new Error(`pool ${pool.name} runs, but the configuration does not name it`);
    byName.set(pool.name, pool);
  }
  return new PoolTable(
    configured.map(({ name, match }) => {
      const pool = byName.get(name);
      if (pool === undefined) throw new Error(`pool ${name} is configured, but does not run`);
      return { match, pool };
    }),
  );
}

/** Resets the pending requests when the time for a stop is over. */
export function cutOff({ drainer }: Listener, { inFlight }: ProxyHandler, logger: Logger): void {
  logger.warn({ requests: inFlight }, 'the time of the stop is over: what is under way is cut off');
  drainer.abortAll();
}
