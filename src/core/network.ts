import { isIPv4, isIPv6 } from 'node:net';

const MAPPED = '::ffff:';

/** The address, or the network that a provider gives to one subscriber (RFC 6177). */
export function networkOf(address: string): string {
  if (!address.includes(':') || !isIPv6(address)) return address;
  // As a listener for both families shows IPv4.
  const mapped = address.toLowerCase().startsWith(MAPPED) ? address.slice(MAPPED.length) : '';
  if (isIPv4(mapped)) return mapped;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - groups.length - rest.length }, () => '0');
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':');
}
