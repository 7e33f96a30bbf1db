import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { METHODS } from '../../src/sapcontrol/message-types.ts';
import { ask } from './request.ts';
import type { Site } from './site.ts';

/** A call of the SAPControl web service. */
export interface SapCall {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const METHOD = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...Object.keys(METHODS)) },
  fc.constantFrom('Unknown', '__proto__', 'constructor', 'toString', '', 'x:y', 'a b', '1'),
);
const FIELDS = Object.values(METHODS).flatMap(({ request }) => request.map(({ name }) => name));
const FIELD = fc.constantFrom(...FIELDS, 'x', '__proto__', 'item');
const VALUE = fc.constantFrom(
  ...[
    '',
    '0',
    '1',
    '-1',
    '300',
    '1.5',
    '1e9',
    '99999999999999999999',
    'NaN',
    'x',
    ' 7 ',
    '&lt;',
    '&#0;',
    '&#x110000;',
    '&e;',
    '&',
  ],
  ...[
    '<x/>',
    '<![CDATA[1]]>',
    '<!-- x -->1',
    '<?pi?>',
    '\u00fc',
    '\u0000',
    'a'.repeat(2_000),
    '..',
    'INSTANCE_NAME',
    '<item>1</item>',
  ],
);
const ATTRIBUTES = fc.constantFrom(
  '',
  '',
  '',
  ' a="1"',
  ' xsi:nil="true"',
  ' xmlns=""',
  ' a="1" a="2"',
  ' a=1',
  ' href="#1"',
  " a='<'",
);
const ENVELOPE = fc.constantFrom(
  'http://schemas.xmlsoap.org/soap/envelope/',
  'http://www.w3.org/2003/05/soap-envelope',
  'urn:x',
  '',
);

const MESSAGE = fc
  .record({
    prolog: fc.constantFrom(
      '',
      '',
      '<?xml version="1.0"?>',
      '<?xml version="1.0" encoding="utf-16"?>',
      '<!DOCTYPE x>',
      '\ufeff',
      'x',
      '<!DOCTYPE x [<!ENTITY e "E">]>',
    ),
    namespace: fc.oneof(
      { weight: 4, arbitrary: fc.constant('http://schemas.xmlsoap.org/soap/envelope/') },
      ENVELOPE,
    ),
    header: fc.constantFrom('', '', '<E:Header/>', '<E:Header><x E:mustUnderstand="1"/></E:Header>'),
    prefix: fc.constantFrom('n:', 'n:', 'n:', '', 'y:'),
    name: METHOD,
    attributes: ATTRIBUTES,
    fields: fc.array(fc.tuple(FIELD, ATTRIBUTES, VALUE), { maxLength: 4 }),
    more: fc.constantFrom('', '', '', '<n:Stop/>', 'text', '<x/>'),
  })
  .map(({ prolog, namespace, header, prefix, name, attributes, fields, more }) => {
    const inside = fields.map(([field, own, value]) => `<${field}${own}>${value}</${field}>`).join('');
    const call = `<${prefix}${name}${attributes}>${inside}</${prefix}${name}>`;
    return `${prolog}<E:Envelope xmlns:E="${namespace}" xmlns:n="urn:SAPControl">${header}<E:Body>${call}${more}</E:Body></E:Envelope>`;
  });
const PIECE = fc.constantFrom('', '<', '>', '"', '&', '/', '\u0000', ']]>', '<!--', '<n:Stop>', ':', '=');
const DAMAGED = fc.tuple(MESSAGE, fc.nat(1_000), fc.nat(4), PIECE).map(([text, at, removed, piece]) => {
  const from = Math.floor((at * text.length) / 1_000);
  return text.slice(0, from) + piece + text.slice(from + removed);
});
const ODD = fc.constantFrom(
  '',
  'x',
  '<',
  '<a>'.repeat(5_000),
  '<a b="'.repeat(500),
  '\u0000'.repeat(100),
  'a'.repeat(70_000),
  '{}',
);

export const SAP_CALL: fc.Arbitrary<SapCall> = fc.record({
  method: fc.oneof(
    { weight: 9, arbitrary: fc.constant('POST') },
    fc.constantFrom('GET', 'PUT', 'DELETE', 'OPTIONS'),
  ),
  path: fc.constantFrom(
    '/',
    '/SAPControl.cgi',
    '/?wsdl',
    '/%zz',
    '/x/y?WSDL',
    '/SAPControl.cgi?wsdl&wsdl',
    '/?__proto__',
  ),
  headers: fc.constantFrom<Readonly<Record<string, string>>>(
    ...[{ 'content-type': 'text/xml; charset=utf-8' }, { 'content-type': 'text/xml', soapaction: '""' }, {}],
    ...[{ 'content-type': 'application/soap+xml' }, { 'content-type': 'x' }, { 'content-encoding': 'gzip' }],
    ...[
      { authorization: 'Basic eA==' },
      { authorization: 'Basic' },
      { authorization: 'x' },
      { origin: 'http://x' },
      { host: 'a b' },
    ],
  ),
  body: fc.oneof({ weight: 5, arbitrary: MESSAGE }, { weight: 3, arbitrary: DAMAGED }, ODD),
});

/** Makes the call, and fails if the service crashes, or answers with a failure of its own, or with what is no XML. */
export async function checkSapCall(site: Site, { method, path, headers, body }: SapCall): Promise<void> {
  await site.begin();
  const url = site.gateway.sapControlUrl ?? '';
  const answer = await ask(url, method, path, headers, method === 'GET' ? undefined : body);
  site.expectUnharmed();
  // SOAP 1.1 answers every Fault with 500; those for which the gateway is to blame are logged as errors.
  if (answer.status > 500) throw new Error(`answered ${answer.status}: ${answer.text}`);
  if (answer.type.startsWith('text/xml')) expectXml(answer.text);
  else if (answer.status >= 500) throw new Error(`answered ${answer.status} without a Fault: ${answer.text}`);
}

function expectXml(text: string): void {
  const parser = new SaxesParser({ xmlns: true });
  // Without a handler it throws.
  parser.write(text).close();
}
