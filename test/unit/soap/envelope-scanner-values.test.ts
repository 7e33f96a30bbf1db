import { describe, expect, test } from 'vitest';
import { envelope, scan } from './envelope-scanner-support.ts';

describe('a value', () => {
  test.each([
    ['plain', 'A', 'A'],
    ['with white space around', ' \r\n\tA B\n', 'A B'],
    ['with the five entities', '&lt;&gt;&amp;&quot;&apos;', `<>&"'`],
    ['with references that are read once', '&amp;lt;&#38;amp;', '&lt;&amp;'],
    ['with numeric references', '&#65;&#x42;&#x1F600;&#0000067;', 'AB😀C'],
    ['in CDATA', '<![CDATA[A<&amp;]]]]><![CDATA[>B]]>', 'A<&amp;]]>B'],
    ['in pieces', 'A<!-- > -->B<?x ?><![CDATA[C]]>D', 'ABCD'],
    ['with leading zeros', '00123', '00123'],
    ['beyond ASCII', 'Ж中😀', 'Ж中😀'],
    ['of 256 characters', 'x'.repeat(256), 'x'.repeat(256)],
  ])('%s is read', (_how, text, value) => {
    expect(scan(envelope(`<user>${text}</user>`))).toMatchObject({ user: value, problem: undefined });
  });

  test.each([
    ['empty', '<user></user>'],
    ['empty in one tag', '<user/>'],
    ['nil', '<user xsi:nil="true" />'],
    ['white space', '<user> \r\n\t&#32;<![CDATA[ ]]></user>'],
    ['more than 256 characters', `<user>${'x'.repeat(257)}</user>`],
    ['in more than 64 pieces', `<user>${'x<!---->'.repeat(65)}</user>`],
    ['text before a child', '<user>A<x/></user>'],
    ['text behind a child', '<user><x>y</x>A</user>'],
  ])('that is %s is ignored', (_how, element) => {
    expect(scan(envelope(`${element}<agent>B</agent>`))).toMatchObject({ user: 'B', problem: undefined });
  });

  test('of a session may have 4096 characters', () => {
    const value = 'x'.repeat(4096);
    expect(scan(envelope(`<sessionId>${value}</sessionId>`))).toMatchObject({ session: value });
    expect(scan(envelope(`<sessionId>${value}y</sessionId>`)).session).toBeUndefined();
  });

  test.each([
    '&unknown;',
    '&lt',
    '&;',
    '&#;',
    '&#x;',
    '&#0;',
    '&#xB;',
    '&#xD800;',
    '&#xFFFE;',
    '&#x110000;',
    '&#-65;',
    '&#x4g;',
    '&#99999999999999999999999999;',
    '\u0001',
  ])('with %j is refused', (text) => {
    expect(scan(envelope(`<user>A${text}</user>`))).toEqual({
      user: undefined,
      session: undefined,
      version: undefined,
      problem: 'malformed',
    });
  });
});

describe('the scanner refuses', () => {
  test.each([
    ['a document type declaration', '<!DOCTYPE x><Envelope/>', 'doctype'],
    [
      'one behind the XML declaration',
      '<?xml version="1.0"?>\n<!-- -->\n<!DOCTYPE x [<!ENTITY a "b">]><Envelope/>',
      'doctype',
    ],
    ['one inside the Body', '<Envelope><Body><!DOCTYPE x>', 'doctype'],
    ['nothing', '', 'not-soap'],
    ['white space', ' \n', 'not-soap'],
    ['text', 'not xml', 'not-soap'],
    ['JSON', '{"user":"A"}', 'not-soap'],
    ['text behind the XML declaration', '<?xml version="1.0"?>x<Envelope/>', 'not-soap'],
    ['HTML', '<html><body/></html>', 'not-soap'],
    ['an end tag that does not fit', '<Envelope><Body><a></b></Body></Envelope>', 'malformed'],
    ['an end tag that is longer', '<Envelope><Body><a></ab></Body></Envelope>', 'malformed'],
    ['an end tag that is shorter', '<Envelope><Body><ab></a></Body></Envelope>', 'malformed'],
    ['an end tag at the beginning', '</Envelope>', 'malformed'],
    ['the lack of an end tag', '<Envelope><Body><user>A</user>', 'malformed'],
    ['an unfinished tag', '<Envelope><Body', 'malformed'],
    ['an unfinished attribute', '<Envelope a="', 'malformed'],
    ['an unfinished comment', '<Envelope><!-- --', 'malformed'],
    ['a tag inside a tag', '<Envelope><Body><a <b/></Body></Envelope>', 'malformed'],
    ['a name that begins with a digit', '<Envelope><Body><1a/></Body></Envelope>', 'malformed'],
    ['a name with two colons', '<Envelope><Body><a:b:c/></Body></Envelope>', 'malformed'],
    ['a name without a local part', '<Envelope><Body><a:/></Body></Envelope>', 'malformed'],
    ['a slash amid a tag', '<Envelope><Body><a / b="c"></a></Body></Envelope>', 'malformed'],
    ['other declarations', '<Envelope><!ELEMENT a></Envelope>', 'malformed'],
    ['CDATA outside the root', '<![CDATA[x]]><Envelope/>', 'malformed'],
    ['half an XML comment', '<Envelope><!- x -></Envelope>', 'malformed'],
  ])('%s', (_what, document, problem) => {
    expect(scan(document)).toEqual({ user: undefined, session: undefined, version: undefined, problem });
  });

  test('more namespaces than 128 at once', () => {
    const declare = (count: number) =>
      Array.from({ length: count }, (_, index) => `xmlns:n${index}="urn:${index}"`).join(' ');
    expect(scan(`<Envelope ${declare(128)}><Body/></Envelope>`).problem).toBeUndefined();
    expect(scan(`<Envelope ${declare(129)}><Body/></Envelope>`).problem).toBe('limit');
  });
});
