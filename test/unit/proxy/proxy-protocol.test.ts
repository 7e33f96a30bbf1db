import { describe, expect, test } from 'vitest';
import { readProxyHeader } from '../../../src/proxy/proxy-protocol.ts';
import { binaryHeader, LOCAL, TCP4, TCP6 } from '../../support/proxy-header.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const line = (text: string): Buffer => Buffer.from(text, 'latin1');
const kindOf = (bytes: Buffer | string): string =>
  readProxyHeader(typeof bytes === 'string' ? line(bytes) : bytes).kind;

/** Holds for every header, however its bytes are split: no result comes early, and none changes later. */
function expectHeader(header: Buffer, source: string | undefined): void {
  for (let length = 0; length < header.length; length++)
    expect(readProxyHeader(header.subarray(0, length)), `the first ${length} bytes`).toEqual({
      kind: 'partial',
    });
  const expected = { kind: 'header', length: header.length, source };
  expect(readProxyHeader(header)).toEqual(expected);
  expect(readProxyHeader(Buffer.concat([header, line(REQUEST)]))).toEqual(expected);
}

describe('a line of version 1', () => {
  test.each([
    ['PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n', '192.0.2.7'],
    ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n', '255.255.255.255'],
    ['PROXY TCP4 10.0.0.1 10.0.0.2 0 0\r\n', '10.0.0.1'],
    ['PROXY TCP6 2001:DB8:0:0::7 2001:db8::1 1 2\r\n', '2001:db8::7'],
    ['PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n', '192.0.2.7'],
    [
      'PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n',
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    ],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN 192.0.2.7 nonsense\r\n', undefined],
    [
      'PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n',
      undefined,
    ],
  ])('%j names %s', (text, source) => expectHeader(line(text), source));

  test.each([
    ['an address with leading zeros', 'PROXY TCP4 192.0.02.7 198.51.100.1 1 2\r\n'],
    ['a number above 255', 'PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n'],
    ['an IPv6 address as TCP4', 'PROXY TCP4 2001:db8::7 198.51.100.1 1 2\r\n'],
    ['an IPv4 address as TCP6', 'PROXY TCP6 192.0.2.7 2001:db8::1 1 2\r\n'],
    ['a zone', 'PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n'],
    ['a name', 'PROXY TCP4 localhost 198.51.100.1 1 2\r\n'],
    ['a bad destination', 'PROXY TCP4 192.0.2.7 nowhere 1 2\r\n'],
    ['a port above 65535', 'PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n'],
    ['a port with leading zeros', 'PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n'],
    ['no port', 'PROXY TCP4 192.0.2.7 198.51.100.1 \r\n'],
    ['one port', 'PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n'],
    ['a third port', 'PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n'],
    ['two spaces', 'PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n'],
    ['a tab', 'PROXY TCP4\t192.0.2.7 198.51.100.1 1 2\r\n'],
    ['another protocol', 'PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n'],
    ['small letters', 'PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n'],
    ['more than UNKNOWN', 'PROXY UNKNOWNS\r\n'],
    ['nothing', 'PROXY \r\n'],
    ['an end of line without CR', `PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n${REQUEST}`],
    ['an end of line without LF', `PROXY UNKNOWN\rGET / HTTP/1.1\r\n`],
    ['107 bytes and no end', `PROXY UNKNOWN ${'x'.repeat(93)}`],
    ['an end beyond 107 bytes', `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`],
  ])('with %s is malformed', (_what, text) => expect(kindOf(text)).toBe('malformed'));
});

describe('a header of version 2', () => {
  const ipv4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
  const ipv6 = [...[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], ...Array(20).fill(1)];
  const mapped = [...Array(10).fill(0), 0xff, 0xff, 192, 0, 2, 7, ...Array(20).fill(1)];
  const unix = Array(216).fill(0x2f);
  const extension = [4, 0, 3, 1, 2, 3];

  test.each([
    ['TCP over IPv4', binaryHeader(ipv4), '192.0.2.7'],
    ['TCP over IPv4 and extensions', binaryHeader([...ipv4, ...extension]), '192.0.2.7'],
    ['as many extensions as are taken', binaryHeader([...ipv4, ...Array(2_020).fill(0)]), '192.0.2.7'],
    ['TCP over IPv6', binaryHeader(ipv6, { family: TCP6 }), '2001:db8::7'],
    ['IPv4 that is written as IPv6', binaryHeader(mapped, { family: TCP6 }), '192.0.2.7'],
    ['LOCAL', binaryHeader([], { command: LOCAL, family: 0 }), undefined],
    ['LOCAL and an address', binaryHeader(ipv4, { command: LOCAL }), undefined],
    [
      'LOCAL and a family that there is not',
      binaryHeader([1, 2], { command: LOCAL, family: 0xff }),
      undefined,
    ],
    ['nothing specified', binaryHeader([], { family: 0 }), undefined],
    ['IPv4 over nothing specified', binaryHeader([], { family: 0x10 }), undefined],
    ['a stream of nothing specified', binaryHeader([9], { family: 0x01 }), undefined],
    ['UDP over IPv4', binaryHeader(ipv4, { family: 0x12 }), undefined],
    ['UDP over IPv6', binaryHeader(ipv6, { family: 0x22 }), undefined],
    ['a Unix socket', binaryHeader(unix, { family: 0x31 }), undefined],
  ])('with %s is read', (_what, header, source) => expectHeader(header, source));

  test.each([
    ['version 1', binaryHeader(ipv4, { command: 0x11 })],
    ['version 3', binaryHeader(ipv4, { command: 0x31 })],
    ['a command that there is not', binaryHeader(ipv4, { command: 0x22 })],
    ['a family that there is not', binaryHeader(ipv4, { family: 0x41 })],
    ['a protocol that there is not', binaryHeader(ipv4, { family: 0x13 })],
    ['less than the addresses of IPv4', binaryHeader(ipv4.slice(1))],
    ['less than the addresses of IPv6', binaryHeader(ipv6.slice(1), { family: TCP6 })],
    ['less than the addresses of Unix sockets', binaryHeader(unix.slice(1), { family: 0x31 })],
    ['more extensions than are taken', binaryHeader([...ipv4, ...Array(2_021).fill(0)], { family: TCP4 })],
    ['the greatest length that can be written', binaryHeader(Array(65_535).fill(0), { command: LOCAL })],
  ])('with %s is refused at the first byte that shows it, before the announced rest', (_what, header) => {
    expect(readProxyHeader(header.subarray(0, 16))).toEqual({ kind: 'malformed' });
    expect(readProxyHeader(header)).toEqual({ kind: 'malformed' });
  });
});

describe('data without a header', () => {
  test.each([
    ['HTTP', REQUEST],
    ['a method that begins alike', 'PROPFIND / HTTP/1.1\r\n'],
    ['the name without its space', 'PROXY/ HTTP'],
    ['empty lines before a request', `\r\n\r\n${REQUEST}`],
    ['TLS', '\x16\x03\x01\x02\x00\x01'],
    ['a signature with one wrong byte', '\r\n\r\n\x00\r\nQUIT\r!'],
  ])('%s is recognized by the first byte that differs', (_what, text) => expect(kindOf(text)).toBe('absent'));

  test('no bytes at all may still become one', () => expect(kindOf('')).toBe('partial'));
});
