import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { advertisedUrl } from '../../../src/wiring/advertise.ts';

const at = (address: string) => ({ address, family: address.includes(':') ? 'IPv6' : 'IPv4', port: 9090 });

test.each([
  ['a loopback address', '127.0.0.1', null],
  ['another loopback address', '127.8.8.8', null],
  ['the IPv6 loopback address', '::1', null],
  ['an address', '10.0.1.11', 'http://10.0.1.11:9090'],
  ['an IPv6 address', 'fd00::1', 'http://[fd00::1]:9090'],
  ['every IPv4 address', '0.0.0.0', `http://${hostname()}:9090`],
  ['every address', '::', `http://${hostname()}:9090`],
])('an admin port at %s is advertised where other hosts reach it', (_, address, expected) => {
  expect(advertisedUrl(undefined, 'http', at(address))).toBe(expected);
});

test('an operator names another URL; a Unix socket has none', () => {
  expect(advertisedUrl('https://gw1.example.com', 'http', at('127.0.0.1'))).toBe('https://gw1.example.com');
  expect(advertisedUrl(undefined, 'http', '/run/admin.sock')).toBeNull();
  expect(advertisedUrl(undefined, 'https', at('10.0.1.11'))).toBe('https://10.0.1.11:9090');
});
