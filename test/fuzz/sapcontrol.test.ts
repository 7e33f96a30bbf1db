import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCall, writeFault } from '../../src/sapcontrol/envelope.ts';
import { SoapFault } from '../../src/sapcontrol/soap-fault.ts';

const ENVELOPE = 'http://schemas.xmlsoap.org/soap/envelope/';
const message = (content: string): string =>
  `<E:Envelope xmlns:E="${ENVELOPE}" xmlns:n="urn:SAPControl"><E:Body>${content}</E:Body></E:Envelope>`;

test('an invalid call ends in a Fault, whatever its bytes are', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...['<', '>', '/', '</', '/>', '"', "'", '=', '&', ';', '&#', '&#x110000;', '<!--', '-->', '<![CDATA['],
      ...[
        ']]>',
        '<?xml ',
        '?>',
        '<!DOCTYPE a [',
        '<!ENTITY',
        ']>',
        'xmlns',
        'xmlns:E',
        ':',
        ' ',
        '\0',
        '\ufffe',
      ],
      ...[`<E:Envelope xmlns:E="${ENVELOPE}">`, '<E:Body>', '</E:Body>', '</E:Envelope>', '__proto__'],
      ...['<n:Stop xmlns:n="urn:SAPControl">', '</n:Stop>', '#text', ':@', 'constructor', 'toString'],
    ),
    fc
      .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 6 })
      .map((points) => String.fromCodePoint(...points)),
  );
  const bytes = fc.oneof(
    fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(''))),
    fc.uint8Array({ maxLength: 200 }).map((random) => Buffer.from(random)),
    // A valid message, with one piece replaced.
    fc.tuple(fc.nat(), fc.nat(20), piece).map(([at, length, other]) => {
      const xml = message('<n:Stop><softtimeout>300</softtimeout></n:Stop>');
      const from = at % xml.length;
      return Buffer.from(xml.slice(0, from) + other + xml.slice(from + length));
    }),
  );
  fc.assert(
    fc.property(bytes, (body) => {
      try {
        expect(readCall(body).method).not.toBe('');
      } catch (error) {
        expect(error).toBeInstanceOf(SoapFault);
        expect(writeFault(error as SoapFault)).toContain('<faultcode>SOAP-ENV:');
      }
    }),
    { numRuns: 2_000 },
  );
});
