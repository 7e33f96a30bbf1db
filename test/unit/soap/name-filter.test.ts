import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { NameFilter } from '../../../src/soap/name-filter.ts';

const NAME = 'setCurrentWorkmode';
const XML = { contentType: 'text/xml; charset=utf-8', contentEncoding: undefined };

function envelope(operation: string): Buffer {
  return Buffer.from(
    `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><${operation}/></e:Body></e:Envelope>`,
  );
}

describe('a body that cannot have an element of the name', () => {
  const exact = new NameFilter([NAME], 'exact');
  const loose = new NameFilter([NAME, 'log-on'], 'loose');

  test('is one that has the name nowhere', () => {
    expect(exact.mayHave(envelope('answerCall'), XML)).toBe(false);
    expect(exact.mayHave(envelope('SETCURRENTWORKMODE'), XML)).toBe(false);
    expect(loose.mayHave(envelope('answerCall'), XML)).toBe(false);
    expect(exact.mayHave(envelope(`m:${NAME}`), XML)).toBe(true);
    for (const spelling of [NAME, 'SET_CURRENT-WORK_MODE', 'logOn'])
      expect(loose.mayHave(envelope(spelling), XML)).toBe(true);
  });

  test.each<[string, Buffer, Partial<typeof XML> | { readonly contentEncoding: string }]>([
    ['compressed', gzipSync(envelope('answerCall')), { contentEncoding: 'gzip' }],
    ['of several parts', envelope('answerCall'), { contentType: 'Multipart/Related; boundary=x' }],
    ['in UTF-16', Buffer.from(String(envelope('answerCall')), 'utf16le'), {}],
    ['in UTF-16 with a byte order mark', Buffer.from(`\ufeff${envelope('answerCall')}`, 'utf16le'), {}],
    ['in UTF-16 with its bytes swapped', Buffer.from(String(envelope('x')), 'utf16le').swap16(), {}],
  ])('is none that is %s, which takes a search', (_, bytes, headers) => {
    expect(exact.mayHave(bytes, { ...XML, ...headers })).toBe(true);
  });

  test('is none if the name has other bytes in other encodings', () => {
    expect(new NameFilter(['abmeldenÄ'], 'exact').mayHave(envelope('answerCall'), XML)).toBe(true);
  });
});
