import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readProxyHeader } from '../../src/proxy/proxy-protocol.ts';
import { binaryHeader, namesIpv4 } from '../support/proxy-header.ts';

/** Begins like a header, and deviates anywhere. */
const START = fc.constantFrom(
  ...[
    '',
    'PROXY ',
    'PROXY TCP4 192.0.2.7 ',
    'PROXY TCP6 2001:db8::7 ::1 1 ',
    'PROXY UNKNOWN ',
    '\r\n\r\n\x00\r\nQUIT\n',
    '\r\n\r\n\x00\r\nQUIT\n!\x11',
    '\r\n\r\n\x00\r\nQUIT\n!\x21\x00\x24',
  ].map((text) => Buffer.from(text, 'latin1')),
  namesIpv4('192.0.2.7'),
);
const TEXT = fc.string({ unit: fc.constantFrom(...'PROXY TCP46.:0129af \r\n'), maxLength: 130 });
const HOSTILE = fc
  .tuple(START, fc.oneof(TEXT.map(Buffer.from), fc.uint8Array({ maxLength: 300 })), fc.nat(2_100))
  .map(([start, noise, zeros]) => Buffer.concat([start, noise, Buffer.alloc(zeros)]));

test('every input gets a result within 2 KB, and later bytes never change it', () => {
  fc.assert(
    fc.property(HOSTILE, (bytes) => {
      const whole = readProxyHeader(bytes);
      if (whole.kind === 'partial') expect(bytes.length).toBeLessThan(2_048);
      if (whole.kind === 'header') expect(whole.length).toBeLessThanOrEqual(bytes.length);
      let length = 0;
      while (length < bytes.length && readProxyHeader(bytes.subarray(0, length)).kind === 'partial') length++;
      // The first result, and those that follow it.
      for (const later of [length, length + 1, length + 2, length + 50]) {
        if (later <= bytes.length) expect(readProxyHeader(bytes.subarray(0, later))).toEqual(whole);
      }
    }),
    { numRuns: 3_000, seed: 1 },
  );
});

test('a header is read to its last byte, and names the address that its sender wrote', () => {
  const ports = fc.tuple(fc.nat(65_535), fc.nat(65_535));
  const after = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), ports, after, (source, destination, [from, to], rest) => {
      const line = Buffer.from(`PROXY TCP4 ${source} ${destination} ${from} ${to}\r\n`);
      const binary = binaryHeader([
        ...`${source}.${destination}`.split('.').map(Number),
        ...[from >> 8, from & 0xff, to >> 8, to & 0xff],
      ]);
      for (const header of [line, binary]) {
        const read = readProxyHeader(Buffer.concat([header, rest]));
        expect(read).toEqual({ kind: 'header', length: header.length, source });
      }
    }),
    { numRuns: 1_000, seed: 1 },
  );
});
