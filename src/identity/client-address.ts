import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

const { IPv4, IPv6 } = ipaddr;

type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

interface MaskLengths {
  /** 0 to 32. */
  readonly ipv4: number;
  /** 0 to 128. */
  readonly ipv6: number;
}

/**
 * Parses an address, and returns `undefined` for other text. An IPv4 address that a dual-stack socket shows as IPv6
 * counts as IPv4.
 *
 * Node decides what an address is, because ipaddr.js also accepts octal numbers and omitted parts, which other programs
 * read differently.
 */
function parseIp(text: string): IpAddress | undefined {
  // A zone names an interface of this host, not the client's network.
  const zone = text.indexOf('%');
  const bare = zone === -1 ? text : text.slice(0, zone);
  const family = isIP(bare);
  if (family === 0) return undefined;
  if (family === 4) return IPv4.parse(bare);
  // Dual-stack sockets show IPv4 addresses like this. Parsing them as IPv6 would take four times as long.
  const mapped = bare.startsWith('::ffff:') ? bare.slice('::ffff:'.length) : undefined;
  if (mapped !== undefined && isIP(mapped) === 4) return IPv4.parse(mapped);
  // ipaddr.js reads `::10.0.0.1` as `::ffff:10.0.0.1`, which is another address.
  return unmapped(IPv6.parse(bare.includes('.') ? bare.replace(/^::(?=\d+\.)/, '0::') : bare));
}

/** The canonical spelling of a valid address (RFC 5952). An IPv4 address that is written as IPv6 becomes IPv4. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 4 ? address : String(parseIp(address));
}

/** @param bytes 4 bytes of IPv4, or 16 of IPv6, in network order */
export function addressOfBytes(bytes: Buffer): string {
  return unmapped(ipaddr.fromByteArray([...bytes])).toString();
}

function unmapped(address: IpAddress): IpAddress {
  return address instanceof IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/**
 * Returns a function that finds the network of a client address, in its canonical spelling (RFC 5952) such as
 * `10.1.2.0/24` or `2001:db8::/64`. That function returns `undefined` for text that is no address.
 */
export function addressMask(lengths: MaskLengths): (address: string) => string | undefined {
  const { octets } = IPv4.subnetMaskFromPrefixLength(lengths.ipv4);
  const { parts } = IPv6.subnetMaskFromPrefixLength(lengths.ipv6);
  return (text) => {
    const address = parseIp(text);
    if (address === undefined) return undefined;
    return address instanceof IPv4
      ? `${new IPv4(masked(address.octets, octets))}/${lengths.ipv4}`
      : `${new IPv6(masked(address.parts, parts))}/${lengths.ipv6}`;
  };
}

function masked(address: readonly number[], mask: readonly number[]): number[] {
  return address.map((part, index) => part & (mask[index] as number));
}

/**
 * Makes the function that tells whether an address is in one of the networks. IPv4 is compared as the part
 * `::ffff:0:0/96` of IPv6, so an address or a network may be written in either form. Compared with `net.BlockList`, a
 * match takes 1 µs less for IPv4 and 0.5 µs more for IPv6.
 *
 * @param networks addresses, or networks such as `10.0.1.0/24`
 */
export function networkMatcher(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.map((network) => {
    const [base = '', length] = network.split('/');
    const address = parseIp(base);
    if (address === undefined) throw new TypeError(`not a network: ${network}`);
    const bits = length === undefined ? 128 : Number(length) + (isIP(base) === 4 ? 96 : 0);
    return { address: asIpv6(address), bits };
  });
  return (text) => {
    const parsed = parseIp(text);
    if (parsed === undefined) return false;
    const address = asIpv6(parsed);
    return ranges.some((range) => address.match(range.address, range.bits));
  };
}

function asIpv6(address: IpAddress): ipaddr.IPv6 {
  if (address instanceof IPv6) return address;
  const [a, b, c, d] = address.octets as [number, number, number, number];
  return new IPv6([0, 0, 0, 0, 0, 0xffff, (a << 8) | b, (c << 8) | d]);
}
