import { describe, expect, test } from 'vitest';
import type { ElementRule } from '../../../src/soap/element-rules.ts';
import { EnvelopeScanner } from '../../../src/soap/envelope-scanner.ts';
import { RULES, SOAP_11, SOAP_12, scan } from './envelope-scanner-support.ts';

function within(content: string): string {
  return `<s:Envelope xmlns:s="${SOAP_11}" xmlns:x="urn:x">${content}</s:Envelope>`;
}

const REAL = '<s:Body><m><user>A</user></m></s:Body>';
const FALSE = '<m><user>EVIL</user></m>';

describe('only the Header and Body of the Envelope count, not elements of the same name', () => {
  test.each([
    ['a Body of another namespace before it', `<x:Body>${FALSE}</x:Body>${REAL}`],
    ['a Body without a namespace before it', `<Body>${FALSE}</Body>${REAL}`],
    ['an empty one before it', `<x:Body/>${REAL}`],
    ['a Body of the other version of SOAP', `<o:Body xmlns:o="${SOAP_12}">${FALSE}</o:Body>${REAL}`],
    ['its prefix declared otherwise', `<s:Body xmlns:s="urn:x">${FALSE}</s:Body>${REAL}`],
    ['a Header of another namespace', `<x:Header>${FALSE}</x:Header>${REAL}`],
    ['one of a prefix that is not declared', `<u:Body>${FALSE}</u:Body>${REAL}`],
    ['another one within it', `<s:Body><m><x:Body>${FALSE}</x:Body><user>A</user></m></s:Body>`],
    ['its prefix declared again', `<t:Body xmlns:t="${SOAP_11}"><m><user>A</user></m></t:Body>`],
    ['the default namespace', `<Body xmlns="${SOAP_11}"><m><user>A</user></m></Body>`],
  ])('with %s', (_what, content) => {
    expect(scan(within(content))).toMatchObject({ user: 'A', problem: undefined });
  });

  test('an operation has the name of the first child of the real one', () => {
    const scanner = new EnvelopeScanner(RULES, { maxDepth: 4, wantsOperation: true });
    const document = within('<x:Body><logoff/></x:Body><s:Body><logon/></s:Body>');
    expect(scanner.scan(Buffer.from(document), undefined, true)).toMatchObject({ operation: 'logon' });
  });
});

describe('a reference to an element behind the operation', () => {
  const ref = (body: string, rules = RULES) => scan(within(`<s:Body>${body}</s:Body>`), rules);

  test.each([
    ['its value', '<op><user href="#id0"/></op><multiRef id="id0" x:type="string"> A </multiRef>'],
    [
      'its value, whatever the element is called',
      "<op><user href='#1'></user></op><x:string id='1'>A</x:string>",
    ],
    ['the fields of a structure', '<op><p href="#id0"/></op><multiRef id="id0"><user>A</user></multiRef>'],
    ['its value among others', '<op><user href="#2"/></op><r id="1">B</r><r id="2">A</r><r id="2">C</r>'],
  ])('is followed for %s', (_what, body) => {
    expect(ref(body)).toMatchObject({ user: 'A', problem: undefined });
  });

  test.each([
    ['to nothing', '<op><user href="#id0"/></op><multiRef id="id1">A</multiRef>'],
    ['to an element before it', '<multiRef id="id0">A</multiRef><op><user href="#id0"/></op>'],
    ['elsewhere', '<op><user href="http://a/#id0"/></op><multiRef id="id0">A</multiRef>'],
    ['of an attribute of another name', '<op><user x:href="#id0"/></op><multiRef id="id0">A</multiRef>'],
    ['twice', '<op><user href="#1"/></op><r id="1" href="#2"/><r id="2">A</r>'],
    ['to itself', '<op><user href="#1"/></op><r id="1" href="#1"/>'],
  ])('is not followed %s', (_what, body) => {
    expect(ref(body)).toMatchObject({ user: undefined, problem: undefined });
  });

  test('keeps the order of the rules', () => {
    const both = '<agent href="#1"/><user href="#2"/>';
    expect(ref(`<op>${both}</op><r id="1">B</r><r id="2">A</r>`)).toMatchObject({ user: 'A' });
    expect(ref('<op><agent href="#1"/><user>A</user></op><r id="1">B</r>')).toMatchObject({ user: 'A' });
    expect(ref('<op><user href="#1"/><agent href="#1"/></op><r id="1">A</r>')).toMatchObject({ user: 'A' });
  });

  test('keeps the operation of a rule', () => {
    const rules: ElementRule[] = [{ kind: 'user', local: 'user', operation: 'logon' }];
    const struct = '<r id="1"><user>A</user></r>';
    expect(ref(`<logon><p href="#1"/></logon>${struct}`, rules)).toMatchObject({ user: 'A' });
    expect(ref(`<search><p href="#1"/></search>${struct}`, rules).user).toBeUndefined();
    expect(ref('<logon><user href="#1"/></logon><r id="1">A</r>', rules)).toMatchObject({ user: 'A' });
  });

  test('of an element that names other people names other people', () => {
    const scanner = new EnvelopeScanner(RULES, { maxDepth: 4, others: ['members'] });
    const document = within('<s:Body><op><members href="#1"/></op><r id="1"><user>B</user></r></s:Body>');
    expect(scanner.scan(Buffer.from(document), undefined, true)).toMatchObject({ user: undefined });
  });
});
