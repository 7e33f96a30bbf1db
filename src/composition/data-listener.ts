import type { Config } from '../config/schema.ts';
import { readListenerTls, readMaintenancePage } from '../config/secrets.ts';
import type { Condition } from '../core/lifecycle.ts';
import type { Coordinator } from '../core/ports.ts';
import { StatePages } from '../core/state-page.ts';
import { Identifier } from '../data-plane/identify.ts';
import type { Listener } from '../data-plane/listener.ts';
import { createListener } from '../data-plane/listener.ts';
import type { Pool } from '../data-plane/pools.ts';
import { PoolTable } from '../data-plane/pools.ts';
import { Recorder } from '../data-plane/record.ts';
import { Router } from '../data-plane/router.ts';
import { Server } from '../data-plane/serve.ts';
import { TrustedProxies } from '../data-plane/trusted-proxies.ts';
import { MetadataExtractor } from '../identity/metadata.ts';
import { BodySearch } from '../soap/body-search.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { composeProxyProtocol } from './proxy-protocol.ts';

/** The data plane, ready to listen. */
export async function composeListener(
  config: Config,
  pools: readonly Pool[],
  coordinator: Coordinator,
  metrics: Metrics,
  logger: Logger,
  showName: (name: string) => string,
  condition: Condition,
): Promise<{ listener: Listener; server: Server }> {
  const { limits, timeouts, forwarding, listen, logging, maintenance } = config;
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
    proxyProtocol: composeProxyProtocol(config, metrics, logger),
    trustedProxies,
    requestIdHeader,
    metrics,
    recorder: new Recorder({ metrics, logger, logRequests: logging.requests, showName }),
  });
  const server = new Server({
    pools: new PoolTable(pools.map((pool, i) => ({ match: config.pools[i]?.match ?? ANY, pool }))),
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
    refusesUntrusted: forwarding.untrusted === 'refuse',
    keepClientHost: forwarding.host === 'client',
    requestIdHeader,
    via: `1.1 ${forwarding.via}`,
    scheme: listen.tls === undefined ? 'http' : 'https',
    condition,
    statePages: new StatePages(config.statePage),
    maintenance: {
      page: maintenance.pageFile === undefined ? undefined : readMaintenancePage(maintenance.pageFile),
      retryAfterSeconds: Math.ceil(maintenance.retryAfter / 1_000),
    },
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

/** The time to end is over. */
export function cutOff({ ending }: Listener, { inFlight }: Server, logger: Logger): void {
  logger.warn({ requests: inFlight }, 'the time of the stop is over: what is under way is cut off');
  ending.cut();
}
