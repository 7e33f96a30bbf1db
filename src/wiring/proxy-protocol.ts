import type { Config } from '../config/schema.ts';
import type { ProxyOutcome, ProxyProtocolOptions } from '../proxy/proxy-protocol-listener.ts';
import { TrustedProxies } from '../proxy/trusted-proxies.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/**
 * Outcomes that an operator must correct. The others are only counted: clients and health checks may leave at any time.
 */
const REMEDIES: Partial<Record<ProxyOutcome, string>> = {
  missing:
    'closed a connection that began without a PROXY header although it is from listen.proxyProtocolFrom: have the balancer send one (send-proxy-v2 in haproxy), or take its address off that list',
  malformed: 'closed a connection that began with a PROXY header which cannot be read',
  untrusted:
    'closed a connection that is not from listen.proxyProtocolFrom: add its address if it is a balancer that speaks the PROXY protocol, or set listen.proxyProtocol to accept',
};

/** How the data listener handles PROXY headers; `undefined` if it expects none. */
export function composeProxyProtocol(
  { listen, timeouts }: Config,
  metrics: Metrics,
  logger: Logger,
): ProxyProtocolOptions | undefined {
  if (listen.proxyProtocol === 'off') return undefined;
  return {
    others: listen.proxyProtocol === 'require' ? 'refuse' : 'serve',
    from: new TrustedProxies(listen.proxyProtocolFrom),
    timeoutMs: timeouts.requestHeader,
    onOutcome: (outcome, peer) => {
      metrics.proxyConnections.inc({ outcome });
      const remedy = REMEDIES[outcome];
      if (remedy !== undefined) logger.warn({ peer, outcome }, remedy);
    },
  };
}
