import { expect, test } from 'vitest';
import { TrustedProxies } from '../../src/data-plane/trusted-proxies.ts';

const PROXIES = new TrustedProxies(['10.0.0.0/8', '2001:db8::/32']);

test.each([
  ['192.0.2.1', undefined, '192.0.2.1'],
  ['192.0.2.1', '203.0.113.1', '192.0.2.1'],
  ['10.0.0.1', undefined, '10.0.0.1'],
  ['10.0.0.1', '203.0.113.1', '203.0.113.1'],
  ['::ffff:10.0.0.1', '203.0.113.1', '203.0.113.1'],
  ['10.0.0.1', '198.51.100.1, 203.0.113.1', '203.0.113.1'],
  ['10.0.0.1', '198.51.100.1,203.0.113.1 , 10.0.0.2', '203.0.113.1'],
  ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['10.0.0.1', '203.0.113.1:4711', '203.0.113.1'],
  ['10.0.0.1', '[2001:db9::1]:4711', '2001:db9::1'],
  ['10.0.0.1', '[2001:db9::1]', '2001:db9::1'],
  ['2001:db8::1', '2001:db9::1', '2001:db9::1'],
  ['10.0.0.1', 'unknown', undefined],
  ['10.0.0.1', '', undefined],
  ['10.0.0.1', '203.0.113.1, unknown', undefined],
  ['10.0.0.1', 'unknown, 203.0.113.1', '203.0.113.1'],
  ['10.0.0.1', 'fe80::1%",1', undefined],
  ['', '203.0.113.1', ''],
])('from %j with X-Forwarded-For %j, a request is of %j', (peer, forwardedFor, client) => {
  expect(PROXIES.clientBehind(peer, forwardedFor)).toBe(client);
});
