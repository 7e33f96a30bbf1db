import { isIP } from 'node:net';

export interface MaskLengths {
  /** 0 to 32. */
  readonly ipv4: number;
  /** 0 to 128. */
  readonly ipv6: number;
}

/**
 * The network that a client address belongs to, in one spelling such as
 * `10.1.2.0/24` or `2001:db8::/64` (RFC 5952). An IPv4 address that a dual-stack
 * socket shows as IPv6 is IPv4. Returns `undefined` for what is no address.
 */
export function maskAddress(address: string, { ipv4, ipv6 }: MaskLengths): string | undefined {
  // A zone names an interface of this host, not the client's network.
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  const family = isIP(bare);
  if (family === 0) return undefined;
  if (family === 4) return `${dotted(mask(parseIpv4(bare), 8, ipv4))}/${ipv4}`;

  const groups = parseIpv6(bare);
  if (isMapped(groups)) return `${dotted(mask(lastFour(groups), 8, ipv4))}/${ipv4}`;
  return `${compressed(mask(groups, 16, ipv6))}/${ipv6}`;
}

/** A valid address in one spelling (RFC 5952); an IPv4 address that is written as IPv6 is IPv4. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 4 ? address : textOf(parseIpv6(address));
}

/** @param bytes 4 of IPv4, or 16 of IPv6, in network order */
export function addressOfBytes(bytes: Buffer): string {
  if (bytes.length === 4) return dotted([...bytes]);
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2));
  return textOf(groups);
}

function textOf(groups: readonly number[]): string {
  return isMapped(groups) ? dotted(lastFour(groups)) : compressed(groups);
}

function parseIpv4(address: string): number[] {
  return address.split('.').map(Number);
}

/** The eight groups of an address that is known to be valid. */
function parseIpv6(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const front = parseGroups(head);
  if (tail === undefined) return front;
  const back = parseGroups(tail);
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
}

function parseGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = parseIpv4(group);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** `::ffff:0:0/96`, RFC 4291 section 2.5.5.2. */
function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
}

/** The IPv4 address at the end of an IPv6 one. */
function lastFour(groups: readonly number[]): number[] {
  return groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]);
}

/** Clears all bits behind the first `length`. */
function mask(groups: readonly number[], bits: number, length: number): number[] {
  const all = 2 ** bits - 1;
  return groups.map((group, index) => {
    const kept = Math.min(Math.max(length - index * bits, 0), bits);
    return group & ((all << (bits - kept)) & all);
  });
}

function dotted(bytes: readonly number[]): string {
  return bytes.join('.');
}

/** RFC 5952 section 4.2: the longest run of two or more zero groups, the first of equals, is left out. */
function compressed(groups: readonly number[]): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > bestLength) {
      bestStart = start;
      bestLength = end - start;
    }
    start = Math.max(start, end);
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestStart === -1) return hex.join(':');
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`;
}
