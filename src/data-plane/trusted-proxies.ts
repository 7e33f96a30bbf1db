import { BlockList, isIP } from 'node:net';

/** The balancers in front, whose word on the client is believed. */
export class TrustedProxies {
  readonly networks: readonly string[];
  readonly #list = new BlockList();

  /** @param networks addresses, or networks such as `10.0.1.0/24` */
  constructor(networks: readonly string[]) {
    this.networks = networks;
    for (const network of networks) {
      const [address = '', bits] = network.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
  }

  includes(address: string): boolean {
    // Most gateways have none, and a look-up costs more than all other work on the header.
    if (this.networks.length === 0 || address === '') return false;
    return this.#list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
}
