import type { Config } from '../config/schema.ts';
import type { ProxyOutcome, ProxyProtocolOptions } from '../proxy/proxy-protocol-listener.ts';
import { TrustedProxies } from '../proxy/trusted-proxies.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** What an operator has to correct. The rest is in the metrics alone: clients and health checks may leave any time. */
const REMEDIES: Partial<Record<ProxyOutcome, string>> = {
  missing:
    'closed a connection that began without a PROXY header though it is from listen.proxyProtocolFrom: have the balancer send one (send-proxy-v2 in haproxy), or take its address off that list',
  malformed: 'closed a connection that began with a PROXY header which cannot be read',
  untrusted:
    'closed a connection that is not from listen.proxyProtocolFrom: add its address if it is a balancer that speaks the PROXY protocol, or set listen.proxyProtocol to accept',
};
// A balancer that is set up wrongly makes the same mistake with every connection.
const REPEAT_MS = 10_000;

/** How the data listener takes PROXY headers; `undefined` where it expects none. */
export function composeProxyProtocol(
  { listen, timeouts }: Config,
  metrics: Metrics,
  logger: Logger,
): ProxyProtocolOptions | undefined {
  if (listen.proxyProtocol === 'off') return undefined;
  const said = new Map<ProxyOutcome, number>();
  return {
    others: listen.proxyProtocol === 'require' ? 'refuse' : 'serve',
    from: new TrustedProxies(listen.proxyProtocolFrom),
    timeoutMs: timeouts.requestHeader,
    onOutcome: (outcome, peer) => {
      metrics.proxyConnections.inc({ outcome });
      const remedy = REMEDIES[outcome];
      const now = performance.now();
      if (remedy === undefined || now - (said.get(outcome) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
      said.set(outcome, now);
      logger.warn({ peer, outcome }, remedy);
    },
  };
}
