import type { Logger } from '../telemetry/logger.ts';
import type { Upstream } from './upstream.ts';

// RFC 4559 §6: these schemes authenticate the connection, not each request.
const OF_CONNECTION = /^\s*(NTLM|Negotiate)\b/i;

const noted = new WeakSet<Upstream>();

/**
 * Logs, once for each instance, that an answer of status 401 asks for a login that holds for the whole connection. The
 * gateway sends the requests of all agents over shared connections, so they would be taken for one user.
 *
 * @param headers names and values alternating, as undici delivers them
 */
export function noteConnectionLogin(upstream: Upstream, headers: readonly Buffer[], logger: Logger): void {
  if (noted.has(upstream)) return;
  for (let i = 0; i < headers.length; i += 2) {
    if (String(headers[i]).toLowerCase() !== 'www-authenticate') continue;
    const scheme = OF_CONNECTION.exec(String(headers[i + 1]))?.[1];
    if (scheme === undefined) continue;
    noted.add(upstream);
    logger.warn(
      { instance: upstream.id, scheme },
      'the instance asks for a login that holds for a whole connection, which is not supported: requests of all agents share connections; turn it off at the instance',
    );
    return;
  }
}
