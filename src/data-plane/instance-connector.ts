import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { buildConnector } from 'undici';

/**
 * Opens connections to one instance. TLS is verified against the instance's own
 * name, whatever Host the client's request bears: left to itself, undici would
 * ask for and verify the client's.
 */
export function instanceConnector(
  origin: URL,
  tls: ConnectionOptions,
  timeoutMs: number,
): buildConnector.connector {
  const { servername = tlsName(origin), ...rest } = tls;
  const connect = buildConnector({ ...(rest as buildConnector.BuildOptions), timeout: timeoutMs });
  if (origin.protocol !== 'https:') return connect;
  return (options, callback) => connect({ ...options, servername }, callback);
}

/** `''` for an address: there is no SNI then, and the certificate must bear the address (RFC 6066 §3). */
function tlsName(origin: URL): string {
  const host = origin.hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? host : '';
}
