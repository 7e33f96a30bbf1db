import { describe, expect, test } from 'vitest';
import { parseMediaType, soapVersionOf } from '../../../src/soap/media-type.ts';

describe('a Content-Type', () => {
  test.each([
    ['text/xml', 'text/xml', undefined],
    ['text/xml;', 'text/xml', undefined],
    ['text/xml;;; charset=utf-8', 'text/xml', 'utf-8'],
    ['TEXT/XML; Charset="UTF-8"', 'text/xml', 'utf-8'],
    ['text/xml ;charset = utf-16 ; x=y', 'text/xml', 'utf-16'],
    ["text/xml; charset='iso-8859-1'", 'text/xml', 'iso-8859-1'],
    ['text/xml; charset="utf\\-8"', 'text/xml', 'utf-8'],
    ['text/xml; x="a;charset=utf-16"; charset=utf-8', 'text/xml', 'utf-8'],
    ['text/xml; charset=utf-8; charset=utf-16', 'text/xml', 'utf-8'],
    ['text/xml; charset="utf-8', 'text/xml', 'utf-8'],
    ['text/xml; charset', 'text/xml', undefined],
    ['; charset=utf-8', '', 'utf-8'],
    ['', '', undefined],
    [undefined, '', undefined],
  ])('%s is read leniently', (value, essence, charset) => {
    expect(parseMediaType(value)).toMatchObject({ essence, charset });
  });

  test('of a message with attachments has its boundary, root part and types', () => {
    expect(
      parseMediaType(
        'Multipart/Related; boundary="=_a;b"; type="application/xop+xml"; start="<Root@x>"; start-info="text/xml"; action="urn:A"',
      ),
    ).toEqual({
      essence: 'multipart/related',
      charset: undefined,
      boundary: '=_a;b',
      type: 'application/xop+xml',
      start: '<Root@x>',
      startInfo: 'text/xml',
      action: 'urn:A',
    });
  });
});

describe('the SOAP version', () => {
  test.each([
    ['text/xml; charset=utf-8', undefined, '1.1'],
    ['application/soap+xml; action="urn:x"', undefined, '1.2'],
    ['application/soap+xml', '""', '1.2'],
    ['application/xml', '', '1.1'],
    [undefined, '"urn:x"', '1.1'],
    ['application/json', undefined, undefined],
    [undefined, undefined, undefined],
    ['multipart/related; type="text/xml"', undefined, '1.1'],
    [
      'multipart/related; type="application/xop+xml"; start-info="application/soap+xml; action=x"',
      undefined,
      '1.2',
    ],
    ['multipart/related; type="application/xop+xml"; start-info="text/xml"', undefined, '1.1'],
    ['application/xop+xml; type="application/soap+xml"', undefined, '1.2'],
    ['multipart/related', undefined, undefined],
  ])('of %s with SOAPAction %s is %s', (contentType, soapAction, version) => {
    expect(soapVersionOf(contentType, soapAction)).toBe(version);
  });
});
