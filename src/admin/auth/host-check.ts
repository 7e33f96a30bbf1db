import { isIP } from 'node:net';

/**
 * Tells whether a Host header names this gateway. A page of another site can give its own name the address of this host
 * (DNS rebinding), and its requests then carry that name. An address cannot be given to another host, so any address
 * will do: also one of a balancer or of a container's host.
 */
export function hostCheck(names: readonly string[]): (host: string | undefined) => boolean {
  const own = new Set(['localhost', ...names.map((name) => name.toLowerCase())]);
  return (header) => {
    const host = hostOf(header ?? '');
    return isIP(host) !== 0 || own.has(host);
  };
}

/** Without port, without the brackets of an IPv6 address, and without the dot that ends a fully qualified name. */
function hostOf(header: string): string {
  const [, ipv6, name = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header) ?? [];
  return (ipv6 ?? name.replace(/\.$/, '')).toLowerCase();
}

/** False if a page of another origin has sent the request. Browsers name the origin with every change. */
export function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}
