import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maskAddress } from '../../../src/identity/client-address.ts';

describe('a client address', () => {
  test.each([
    ['10.1.2.3', 24, 64, '10.1.2.0/24'],
    ['10.1.2.3', 32, 64, '10.1.2.3/32'],
    ['10.1.255.3', 20, 64, '10.1.240.0/20'],
    ['10.1.2.3', 0, 64, '0.0.0.0/0'],
    ['::ffff:10.1.2.3', 24, 64, '10.1.2.0/24'],
    ['::FFFF:a01:203', 24, 64, '10.1.2.0/24'],
    ['2001:db8:0:1:2:3:4:5', 24, 64, '2001:db8:0:1::/64'],
    ['2001:DB8::0001', 24, 128, '2001:db8::1/128'],
    ['2001:db8:0:0:1:0:0:1', 24, 128, '2001:db8::1:0:0:1/128'],
    ['2001:db8:0:1:1:1:1:1', 24, 128, '2001:db8:0:1:1:1:1:1/128'],
    ['2001:dbf::', 24, 29, '2001:db8::/29'],
    ['fe80::1%eth0', 24, 128, 'fe80::1/128'],
    ['::', 24, 128, '::/128'],
    ['::1', 24, 128, '::1/128'],
    ['1::', 24, 128, '1::/128'],
    ['64:ff9b::192.0.2.33', 24, 128, '64:ff9b::c000:221/128'],
  ])('%s with masks of %i and %i bits is %s', (address, ipv4, ipv6, network) => {
    expect(maskAddress(address, { ipv4, ipv6 })).toBe(network);
  });

  test.each(['', 'localhost', '10.1.2', '10.1.2.256', '1:2', ':::', '10.1.2.3/8', '010.1.2.3'])(
    '%j is none',
    (address) => {
      expect(maskAddress(address, { ipv4: 24, ipv6: 64 })).toBeUndefined();
    },
  );

  test('lies in its own network, which has one spelling', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6()),
        fc.integer({ min: 1, max: 32 }),
        fc.integer({ min: 1, max: 128 }),
        (address, ipv4, ipv6) => {
          const network = maskAddress(address, { ipv4, ipv6 }) ?? '';
          const [base = '', length] = network.split('/');
          const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
          const list = new BlockList();
          list.addSubnet(base, Number(length), family);
          expect(list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')).toBe(true);
          expect(maskAddress(base, { ipv4, ipv6 })).toBe(network);
        },
      ),
      { seed: 5952, numRuns: 1000 },
    );
  });
});
