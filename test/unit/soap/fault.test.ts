import { XMLParser } from 'fast-xml-parser';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../../src/core/errors.ts';
import { EnvelopeScanner } from '../../../src/soap/envelope-scanner.ts';
import { renderFault } from '../../../src/soap/fault.ts';

const PARSER = new XMLParser({ parseTagValue: false, ignoreAttributes: false });

describe('a Fault of the gateway', () => {
  test('is a SOAP 1.1 Fault for a SOAP 1.1 caller', () => {
    const { contentType, body } = renderFault({
      version: '1.1',
      code: 'GW_NO_INSTANCE',
      message: ERRORS.GW_NO_INSTANCE.message,
      source: 'upstream',
      requestId: 'r-1',
    });
    expect(contentType).toBe('text/xml; charset=utf-8');
    expect(PARSER.parse(body)['SOAP-ENV:Envelope']).toEqual({
      '@_xmlns:SOAP-ENV': 'http://schemas.xmlsoap.org/soap/envelope/',
      'SOAP-ENV:Body': {
        'SOAP-ENV:Fault': {
          faultcode: 'SOAP-ENV:Server',
          faultstring: 'no connector instance is available',
          detail: {
            'gw:error': {
              '@_xmlns:gw': 'urn:ici-gateway:fault',
              'gw:code': 'GW_NO_INSTANCE',
              'gw:requestId': 'r-1',
            },
          },
        },
      },
    });
  });

  test('is a SOAP 1.2 Fault for a SOAP 1.2 caller', () => {
    const { contentType, body } = renderFault({
      version: '1.2',
      code: 'GW_INTERNAL',
      message: 'the gateway failed',
      source: 'gateway',
      requestId: 'r-2',
    });
    expect(contentType).toBe('application/soap+xml; charset=utf-8');
    expect(PARSER.parse(body)['env:Envelope']).toEqual({
      '@_xmlns:env': 'http://www.w3.org/2003/05/soap-envelope',
      'env:Body': {
        'env:Fault': {
          'env:Code': { 'env:Value': 'env:Receiver' },
          'env:Reason': { 'env:Text': { '#text': 'the gateway failed', '@_xml:lang': 'en' } },
          'env:Detail': {
            'gw:error': {
              '@_xmlns:gw': 'urn:ici-gateway:fault',
              'gw:code': 'GW_INTERNAL',
              'gw:requestId': 'r-2',
            },
          },
        },
      },
    });
  });

  test.each([
    ['1.1', 'client', 'SOAP-ENV:Client'],
    ['1.1', 'gateway', 'SOAP-ENV:Server'],
    ['1.2', 'client', 'env:Sender'],
    ['1.2', 'upstream', 'env:Receiver'],
  ] as const)('in SOAP %s blames the %s with %s', (version, source, blamed) => {
    const { body } = renderFault({ version, code: 'C', message: 'm', source, requestId: 'r' });
    expect(body).toContain(`>${blamed}<`);
  });

  test.each(['1.1', '1.2'] as const)('in SOAP %s stays well-formed whatever its text', (version) => {
    const hostile = `</x><user>EVIL</user>&<!--]]>"'\u0000\ud800`;
    const { body } = renderFault({
      version,
      code: hostile,
      message: hostile,
      source: 'client',
      requestId: hostile,
    });
    const rules = [{ kind: 'user', local: 'user' }] as const;
    const scanned = new EnvelopeScanner(rules, { maxDepth: 10 }).scan(Buffer.from(body), undefined, true);
    expect(scanned).toEqual({ user: undefined, session: undefined, version, problem: undefined });
    expect(body).toContain(
      '&lt;/x&gt;&lt;user&gt;EVIL&lt;/user&gt;&amp;&lt;!--]]&gt;&quot;&apos;\ufffd\ufffd',
    );
  });
});
