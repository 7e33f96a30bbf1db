/** The bytes of PROXY headers, built by hand so that they can be wrong. */

export const LOCAL = 0x20;
const RELAYED = 0x21;
export const TCP4 = 0x11;
export const TCP6 = 0x21;

/**
 * A header of version 2.
 *
 * @param rest addresses and extensions, which the length field counts
 */
export function binaryHeader(
  rest: readonly number[],
  { command = RELAYED, family = TCP4 }: { readonly command?: number; readonly family?: number } = {},
): Buffer {
  const start = Buffer.from('\r\n\r\n\x00\r\nQUIT\n', 'latin1');
  return Buffer.concat([start, Buffer.of(command, family, rest.length >> 8, rest.length & 0xff, ...rest)]);
}

/** A header of version 2 that names a client of TCP over IPv4. */
export function namesIpv4(client: string): Buffer {
  return binaryHeader([...client.split('.').map(Number), 198, 51, 100, 1, 0xdc, 4, 1, 0xbb]);
}
