import { isIP } from 'node:net';
import { networkMatcher } from '../identity/client-address.ts';

/** The proxies whose forwarding headers count. */
export class TrustedProxies {
  readonly networks: readonly string[];
  readonly #matches: (address: string) => boolean;

  /** @param networks addresses, or networks such as `10.0.1.0/24` */
  constructor(networks: readonly string[]) {
    this.networks = networks;
    this.#matches = networkMatcher(networks);
  }

  /**
   * The address of the client: the last one in the list that is not a trusted proxy. `undefined` if a trusted proxy
   * sent something that is no address.
   *
   * @param peer the other end of the connection
   * @param forwardedFor the header `X-Forwarded-For`, to which each proxy appends its own peer
   */
  clientBehind(peer: string, forwardedFor: string | undefined): string | undefined {
    if (forwardedFor === undefined || !this.includes(peer)) return peer;
    let client = peer;
    for (const hop of forwardedFor.split(',').reverse()) {
      const address = withoutPort(hop.trim());
      // A zone has a meaning only on the proxy's own host.
      if (isIP(address) === 0 || address.includes('%')) return undefined;
      client = address;
      if (!this.includes(address)) break;
    }
    return client;
  }

  includes(address: string): boolean {
    // Most gateways have no trusted proxies, and this lookup costs more than all other work on the header.
    return this.networks.length > 0 && this.#matches(address);
  }
}

/** Some proxies also write the port of the client. */
function withoutPort(hop: string): string {
  const [, ipv6, ipv4] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(hop) ?? [];
  return ipv6 ?? ipv4 ?? hop;
}
