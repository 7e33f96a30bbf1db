import fc from 'fast-check';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { describe, expect, test } from 'vitest';
import { readCall, writeFault, writeResponse } from '../../../src/sapcontrol/envelope.ts';
import { METHODS } from '../../../src/sapcontrol/message-types.ts';
import { SoapFault } from '../../../src/sapcontrol/soap-fault.ts';
import { wsdl } from '../../../src/sapcontrol/wsdl.ts';

const ENVELOPE = 'http://schemas.xmlsoap.org/soap/envelope/';

function call(xml: string | Buffer): { method: string; values: Record<string, string> } {
  const { method, values } = readCall(Buffer.from(xml as string));
  return { method, values: Object.fromEntries(values) };
}

function faultOf(xml: string | Buffer): SoapFault {
  try {
    readCall(Buffer.from(xml as string));
  } catch (error) {
    if (error instanceof SoapFault) return error;
    throw error;
  }
  throw new Error(`nothing was wrong with ${xml}`);
}

const inBody = (content: string, more = ''): string =>
  `<E:Envelope xmlns:E="${ENVELOPE}" xmlns:n="urn:SAPControl" ${more}><E:Body>${content}</E:Body></E:Envelope>`;

describe('a call', () => {
  test.each([
    [
      'with prefixes',
      inBody('<n:Stop><softtimeout>300</softtimeout><IsSystemStop>0</IsSystemStop></n:Stop>'),
    ],
    [
      'with default namespaces',
      `<Envelope xmlns="${ENVELOPE}"><Body><Stop xmlns="urn:SAPControl"><softtimeout>300</softtimeout><IsSystemStop>0</IsSystemStop></Stop></Body></Envelope>`,
    ],
    [
      'with a namespace that a prefix is given again inside',
      `<n:Envelope xmlns:n="${ENVELOPE}"><n:Body><n:Stop xmlns:n="urn:SAPControl"><softtimeout>300</softtimeout><IsSystemStop>0</IsSystemStop></n:Stop></n:Body></n:Envelope>`,
    ],
    [
      'with declaration, comments, white space, byte order mark and a header',
      `\ufeff<?xml version="1.0" encoding="utf-8"?>\n<!-- x --><E:Envelope xmlns:E="${ENVELOPE}"><E:Header><a/></E:Header>\n<E:Body>\n<Stop xmlns="urn:SAPControl">\n <softtimeout> 300 </softtimeout><!-- y --><IsSystemStop><![CDATA[0]]></IsSystemStop></Stop></E:Body></E:Envelope>\n`,
    ],
  ])('is parsed %s', (_, xml) => {
    expect(call(xml)).toEqual({ method: 'Stop', values: { softtimeout: '300', IsSystemStop: '0' } });
  });

  test('keeps its values unchanged', () => {
    const { values } = call(
      inBody(
        '<n:ParameterValue><parameter>00123 &lt;&#228;&#xE4;&amp;amp;</parameter><e/></n:ParameterValue>',
      ),
    );
    expect(values).toEqual({ parameter: '00123 <ää&amp;', e: '' });
  });

  test.each([
    ['Client', 'not a valid SOAP message', 'not xml'],
    ['Client', 'not a valid SOAP message', ''],
    ['Client', 'not a valid SOAP message', inBody('<n:Stop/>').slice(0, -3)],
    ['Client', 'one root', `${inBody('<n:Stop/>')}<x/>`],
    ['Client', 'document type', `<!DOCTYPE x [<!ENTITY a "b">]>${inBody('<n:Stop>&a;</n:Stop>')}`],
    ['Client', 'must be UTF-8', Buffer.from(`\ufeff${inBody('<n:Stop/>')}`, 'utf16le')],
    ['Client', 'ISO-8859-1', `<?xml version="1.0" encoding="ISO-8859-1"?>${inBody('<n:Stop/>')}`],
    ['Client', 'Body must have one element', inBody('')],
    ['Client', 'Body must have one element', inBody('<n:Stop/><n:Stop/>')],
    ['Client', 'must have one Body', `<E:Envelope xmlns:E="${ENVELOPE}"/>`],
    ['Client', 'namespace urn:SAPControl', inBody('<Stop/>')],
    ['Client', 'namespace urn:SAPControl', inBody('<x:Stop xmlns:x="urn:other"/>')],
    ['Client', 'not a valid SOAP message', inBody('<__proto__/>')],
    ['Client', 'not a valid SOAP message', inBody(`${'<a>'.repeat(100)}${'</a>'.repeat(100)}`)],
    ['VersionMismatch', 'SOAP 1.1', '<E:Envelope xmlns:E="http://www.w3.org/2003/05/soap-envelope"/>'],
    ['VersionMismatch', 'root must be Envelope', '<Envelope/>'],
    [
      'MustUnderstand',
      'header sec',
      `<E:Envelope xmlns:E="${ENVELOPE}"><E:Header><sec E:mustUnderstand="1"/></E:Header><E:Body/></E:Envelope>`,
    ],
  ])('is answered with a Fault %s (%s)', (code, message, xml) => {
    const fault = faultOf(xml);
    expect(fault.code).toBe(code);
    expect(fault.message).toContain(message);
  });

  test('with very many namespace declarations does not block the process', () => {
    const many = Array.from({ length: 2_300 }, (_, i) => `xmlns:b${i.toString(36)}=""`).join(' ');
    const xml = Buffer.from(inBody(`<n:Stop>${'<b xmlns:q=""/>'.repeat(1_800)}</n:Stop>`, many));
    expect(xml.length).toBeLessThan(64 * 1_024);
    const cpuMs = (): number => {
      const before = process.cpuUsage();
      readCall(xml);
      return process.cpuUsage(before).user / 1_000;
    };
    // A copy of all declarations for each element took from 850 to 2,000 ms on a machine that needs 40.
    expect(Math.min(cpuMs(), cpuMs(), cpuMs())).toBeLessThan(300);
  });
});

describe('an answer', () => {
  // Includes half of a surrogate pair and characters that XML forbids.
  const anyText = fc
    .array(fc.oneof(fc.integer({ min: 0, max: 0x40 }), fc.integer({ min: 0, max: 0x10ffff })), {
      maxLength: 10,
    })
    .map((points) => String.fromCodePoint(...points));
  const parser = new XMLParser({ ignoreAttributes: false, parseTagValue: false, trimValues: false });

  test('has its wrapper in the namespace and the content without one', () => {
    const xml = writeResponse('GetProcessList', {
      process: {
        item: [
          { name: 'a', pid: -1 },
          { name: 'b', pid: 2 },
        ],
      },
    });
    expect(xml).toContain('xmlns:SAPControl="urn:SAPControl"');
    expect(xml).toContain(
      '<SOAP-ENV:Body><SAPControl:GetProcessListResponse><process><item><name>a</name><pid>-1</pid></item><item><name>b</name><pid>2</pid></item></process></SAPControl:GetProcessListResponse></SOAP-ENV:Body>',
    );
  });

  test('may be empty, like a list', () => {
    expect(writeResponse('Stop', {})).toContain('<SAPControl:StopResponse></SAPControl:StopResponse>');
    expect(writeResponse('WebDispGetServerList', { server: { item: [] } })).toContain('<server></server>');
  });

  test('transports every text, except characters that XML forbids', () => {
    fc.assert(
      fc.property(anyText, (value) => {
        const tree = parser.parse(writeResponse('ParameterValue', { value }), true);
        const got = tree['SOAP-ENV:Envelope']['SOAP-ENV:Body']['SAPControl:ParameterValueResponse'].value;
        const expected = Array.from(value, (letter) =>
          /[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(letter) ? letter : '\ufffd',
        ).join('');
        expect(got.replaceAll('\r', '\n')).toBe(expected.replaceAll('\r\n', '\n').replaceAll('\r', '\n'));
      }),
    );
  });

  test('with a Fault quotes only a readable part of the request', () => {
    expect(writeFault(new SoapFault('Client', 'x'.repeat(60_000))).length).toBeLessThan(1_500);
  });
});

test('the WSDL names every method and the address of the service', () => {
  const xml = wsdl('http://gateway:50013/SAPControl.cgi');
  expect(XMLValidator.validate(xml)).toBe(true);
  expect(xml).toContain('<SOAP:address location="http://gateway:50013/SAPControl.cgi"');
  for (const name of Object.keys(METHODS)) {
    expect(xml).toContain(`<xsd:element name="${name}">`);
    expect(xml).toContain(`<operation name="${name}"><SOAP:operation soapAction="">`);
  }
});
