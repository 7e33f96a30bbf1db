import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressMask, canonicalAddress, networkMatcher } from '../../../src/identity/client-address.ts';

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
    ['fe80::1%br-lan.2', 24, 128, 'fe80::1/128'],
    ['::ffff:0:10.1.2.3', 24, 128, '::ffff:0:a01:203/128'],
    ['::10.1.2.3', 24, 128, '::a01:203/128'],
    ['::1:2:3:4:5:6:7', 24, 128, '0:1:2:3:4:5:6:7/128'],
    ['::', 24, 128, '::/128'],
    ['::1', 24, 128, '::1/128'],
    ['1::', 24, 128, '1::/128'],
    ['64:ff9b::192.0.2.33', 24, 128, '64:ff9b::c000:221/128'],
  ])('%s with masks of %i and %i bits is %s', (address, ipv4, ipv6, network) => {
    expect(addressMask({ ipv4, ipv6 })(address)).toBe(network);
  });

  test.each([
    '',
    'localhost',
    '10.1.2',
    '10.1.2.256',
    '1:2',
    ':::',
    '10.1.2.3/8',
    '010.1.2.3',
    '0x7f.0.0.1',
    '::ffff:10.1.2.010',
  ])('%j is invalid', (address) => {
    expect(addressMask({ ipv4: 24, ipv6: 64 })(address)).toBeUndefined();
  });

  test('lies in its own network, which has one spelling', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6()),
        fc.integer({ min: 1, max: 32 }),
        fc.integer({ min: 1, max: 128 }),
        (address, ipv4, ipv6) => {
          const network = addressMask({ ipv4, ipv6 })(address) ?? '';
          const [base = '', length] = network.split('/');
          const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
          const list = new BlockList();
          list.addSubnet(base, Number(length), family);
          expect(list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')).toBe(true);
          expect(addressMask({ ipv4, ipv6 })(base)).toBe(network);
        },
      ),
      { seed: 5952, numRuns: 1000 },
    );
  });
});

describe('networks', () => {
  test.each([
    ['10.1.2.3', '10.0.0.0/8', true],
    ['11.1.2.3', '10.0.0.0/8', false],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['::ffff:11.1.2.3', '10.0.0.0/8', false],
    ['::FFFF:a01:203', '10.0.0.0/8', true],
    ['::10.1.2.3', '10.0.0.0/8', false],
    ['10.1.2.3', '::ffff:10.0.0.0/104', true],
    ['10.1.2.3', '::/0', true],
    ['2001:db8::1', '0.0.0.0/0', false],
    ['2001:db8:1::1', '2001:db8::/32', true],
    ['2001:db9::1', '2001:db8::/32', false],
    ['fe80::1%eth0', 'fe80::/10', true],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.2', '10.0.0.1', false],
    ['::1', '::1', true],
    ['', '::/0', false],
    ['10.1.2', '0.0.0.0/0', false],
  ])('%j in %s is %j', (address, network, isIn) => {
    expect(networkMatcher([network])(address)).toBe(isIn);
  });

  test('match like those of Node.js', () => {
    const anyAddress = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4().map((address) => `::ffff:${address}`),
    );
    fc.assert(
      fc.property(anyAddress, anyAddress, fc.nat(128), fc.boolean(), (address, other, bits, isNear) => {
        const base = isNear ? address : other;
        const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
        const length = family === 'ipv4' ? bits % 33 : bits;
        const list = new BlockList();
        list.addSubnet(base, length, family);
        const expected = list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
        expect(networkMatcher([`${base}/${length}`])(address)).toBe(expected);
      }),
      { seed: 4291, numRuns: 1000 },
    );
  });
});

test.each([
  ['10.1.2.3', '10.1.2.3'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::FFFF:a01:203', '10.1.2.3'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['0:0:0:0:0:0:0:0', '::'],
])('the one spelling of %s is %s', (address, spelling) => {
  expect(canonicalAddress(address)).toBe(spelling);
});
