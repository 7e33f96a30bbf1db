import { hostname, networkInterfaces } from 'node:os';
import { isLoopback } from '../core/loopback.ts';
import type { Path } from './problem.ts';
import type { CheckContext } from './rule.ts';
import type { Config } from './schema.ts';
import { parseAddress } from './syntax.ts';

/** Finds instances that are this gateway itself, to which it would send every request again and again. */
export function instancesAreOthers(config: Config, _: Path, { given, error, warn }: CheckContext): void {
  const { pools, listen, admin, sapcontrol, peers } = config;
  const listeners: [section: string, address: string | undefined][] = [
    ['listen', listen.address],
    ['admin', admin.address],
    ['sapcontrol', sapcontrol?.address],
    ['peers', peers?.address],
  ];
  const refuse = (at: Path, value: string | number, url: string): void => {
    const found = listeners.find(([, address]) => address !== undefined && leadsTo(url, address));
    if (found === undefined) return;
    const [section, address] = found;
    const message = `is ${value}, which leads to ${section}.address (${address}) of this gateway itself; set the address of the connector`;
    // A gateway whose sockets come from a service manager does not use the default.
    if (given([section, 'address'])) error(at, message);
    else warn(at, `${message}, or set ${section}.address`);
  };
  for (const [index, { instances, health }] of pools.entries()) {
    for (const [position, { url }] of instances.entries()) {
      refuse(['pools', index, 'instances', position, 'url'], url, url);
      if (health.port !== undefined)
        refuse(['pools', index, 'health', 'port'], health.port, probedUrl(url, health.port).href);
    }
  }
}

/** Where probes of an instance go. */
export function probedUrl(url: string, port: number | undefined): URL {
  const probed = new URL(url);
  if (port !== undefined) probed.port = String(port);
  return probed;
}

/** Addresses that take connections to every address of this host. */
const EVERY: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/** Does the URL lead to this listener, as far as that can be told without a resolver? */
function leadsTo(url: string, listener: string): boolean {
  const { hostname: bracketed, protocol, port } = new URL(url);
  const address = parseAddress(listener);
  if (address === undefined || address.port === 0) return false;
  if ((port === '' ? PORTS[protocol] : port) !== String(address.port)) return false;
  const host = plain(bracketed);
  const listens = plain(address.host);
  if (host === listens || EVERY.has(host)) return true;
  if (EVERY.has(listens)) return isOwn(host);
  return host === 'localhost' ? isLoopback(listens) : listens === 'localhost' && isLoopback(host);
}

function isOwn(host: string): boolean {
  if (host === 'localhost' || isLoopback(host) || host === hostname().toLowerCase()) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host));
}

/** In lower case, without brackets, and without the dot that ends a fully qualified name. */
function plain(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '');
}
