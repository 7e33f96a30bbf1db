import { isIP } from 'node:net';
import { networkMatcher } from '../identity/client-address.ts';

/** The balancers in front, whose word on the client is believed. */
export class TrustedProxies {
  readonly networks: readonly string[];
  readonly #matches: (address: string) => boolean;

  /** @param networks addresses, or networks such as `10.0.1.0/24` */
  constructor(networks: readonly string[]) {
    this.networks = networks;
    this.#matches = networkMatcher(networks);
  }

  /**
   * Where the request came from, as far as that is certain: the last address that is not a trusted proxy's. `undefined`
   * if a trusted proxy names something that is no address.
   *
   * @param peer who the connection is from
   * @param forwardedFor the field `X-Forwarded-For`; each proxy adds its own peer at the end
   */
  clientBehind(peer: string, forwardedFor: string | undefined): string | undefined {
    if (forwardedFor === undefined || !this.includes(peer)) return peer;
    let client = peer;
    for (const hop of forwardedFor.split(',').reverse()) {
      const address = withoutPort(hop.trim());
      // A zone means something on the proxy's own host only.
      if (isIP(address) === 0 || address.includes('%')) return undefined;
      client = address;
      if (!this.includes(address)) break;
    }
    return client;
  }

  includes(address: string): boolean {
    // Most gateways have none, and a look-up costs more than all other work on the header.
    return this.networks.length > 0 && this.#matches(address);
  }
}

/** Some proxies write the port of the client too. */
function withoutPort(hop: string): string {
  const [, ipv6, ipv4] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(hop) ?? [];
  return ipv6 ?? ipv4 ?? hop;
}
