import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodySearch } from '../../../src/soap/body-search.ts';
import { NameFilter } from '../../../src/soap/name-filter.ts';
import type { ScanResult } from '../../../src/soap/scan-result.ts';

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

  test('is none whose name begins like that of the last body that was ruled out', () => {
    const filter = new NameFilter(['answerCallBack'], 'exact');
    for (const [operation, mayHave] of [
      ['answerCall', false],
      ['answerCall', false],
      ['answerCallBack', true],
      ['answerCall', false],
    ] as const)
      expect(filter.mayHave(envelope(operation), XML), operation).toBe(mayHave);
  });

  test('is none if the name has other bytes in other encodings', () => {
    expect(new NameFilter(['abmeldenÄ'], 'exact').mayHave(envelope('answerCall'), XML)).toBe(true);
  });

  describe('and never a body whose operation has the name', () => {
    const search = new BodySearch([], { maxBytes: 65_536, maxDepth: 3, wantsOperation: true });
    const body = (text: string): Buffer => Buffer.from(text);
    const operation = `<m:${NAME}><answerCall/></m:${NAME}>`;
    const soap = 'xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"';

    test.each<[string, Buffer]>([
      [
        'behind a prolog',
        body(`<?xml version="1.0"?>\n<e:Envelope ${soap}>\n<e:Body>${operation}</e:Body></e:Envelope>`),
      ],
      [
        'behind a Header',
        body(
          `<e:Envelope ${soap}><e:Header><answerCall/></e:Header><e:Body>${operation}</e:Body></e:Envelope>`,
        ),
      ],
      [
        'behind a comment',
        body(
          `<e:Envelope ${soap}><!-- <e:Body><answerCall/> --><e:Body><!-- <answerCall/> -->${operation}</e:Body></e:Envelope>`,
        ),
      ],
      [
        'behind a Body of another namespace',
        body(
          `<e:Envelope ${soap}><e:Body xmlns:e="u"><answerCall/></e:Body><e:Body>${operation}</e:Body></e:Envelope>`,
        ),
      ],
      [
        'behind a Body with another prefix',
        body(
          `<e:Envelope ${soap} xmlns:o="u"><o:Body><answerCall/></o:Body><e:Body>${operation}</e:Body></e:Envelope>`,
        ),
      ],
      [
        'behind a value that looks like a Body',
        body(`<e:Envelope ${soap} a='><e:Body><answerCall '><e:Body>${operation}</e:Body></e:Envelope>`),
      ],
      [
        'with a value that has an end of a tag',
        body(`<e:Envelope ${soap}><e:Body a="><answerCall ">${operation}</e:Body></e:Envelope>`),
      ],
      [
        'behind a Body with a longer name',
        Buffer.from(
          `<?xml version="1.0" encoding="iso-8859-1"?><e:Envelope ${soap}><e:Body\u00a0><answerCall/></e:Body\u00a0><e:Body>${operation}</e:Body></e:Envelope>`,
          'latin1',
        ),
      ],
      [
        'with attributes',
        body(`<e:Envelope ${soap}><e:Body e:encodingStyle="u">${operation}</e:Body></e:Envelope>`),
      ],
      [
        'far behind',
        body(`<e:Envelope ${soap} a="${'x'.repeat(2_000)}"><e:Body>${operation}</e:Body></e:Envelope>`),
      ],
      [
        'in the default namespace',
        body(
          `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>${operation}</Body></Envelope>`,
        ),
      ],
    ])('%s', (_, bytes) => {
      expect(search.search(bytes, XML, true)).toMatchObject({ operation: NAME });
      expect(exact.mayHave(bytes, XML)).toBe(true);
      expect(loose.mayHave(bytes, XML)).toBe(true);
    });
  });

  test('is one that begins as the one before and has another operation', () => {
    const filter = new NameFilter([NAME], 'exact');
    const asked = ['answerCall', NAME, 'answerCall', `m:${NAME}`, `x${NAME}`, NAME.slice(1)];
    expect(asked.map((operation) => filter.mayHave(envelope(operation), XML))).toEqual(
      asked.map((operation) => operation.replace('m:', '') === NAME),
    );
    // It begins alike, and then has no operation at the usual place.
    const comment = Buffer.from(String(envelope('answerCall')).replace('<answerCall', `<!-- --><${NAME}`));
    expect(filter.mayHave(comment, XML)).toBe(true);
    const multipart = { ...XML, contentType: 'multipart/related' };
    expect([XML, multipart, XML, multipart].map((headers) => filter.mayHave(envelope('x'), headers))).toEqual(
      [false, true, false, true],
    );
  });

  test('is one whose operation is another, although the name stands in it', () => {
    const bytes = envelope(`log><text>${NAME}</text></log`);
    for (const filter of [exact, loose]) expect(filter.mayHave(bytes, XML)).toBe(false);
    expect(exact.mayHave(envelope(`x${NAME}`), XML)).toBe(false);
    expect(loose.mayHave(envelope(`${NAME}s`), XML)).toBe(false);
  });

  test('is none however envelope and operation are written', () => {
    const search = new BodySearch([], { maxBytes: 65_536, maxDepth: 3, wantsOperation: true });
    const piece = fc.constantFrom(
      '<?xml version="1.0"?>',
      '<e:Envelope xmlns:e="u">',
      '<Envelope>',
      '<Envelope xmlns="u" a=\'>\'>',
      '<e:Body>',
      '<Body>',
      '<Body xmlns="o">',
      '<Body a="<Body>">',
      '</Body>',
      '<Header/>',
      '<Header>',
      '</Header>',
      '<!--',
      '-->',
      `<${NAME}>`,
      `<m:${NAME}/>`,
      '<log-on/>',
      '<x:y>',
      '<x y=">',
      '">',
      "'>",
      '<x/>',
      ' ',
      '\u00a0',
      '\f',
      'text',
      '<![CDATA[',
      ']]>',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.boolean(), (pieces, isUsual) => {
        const bytes = Buffer.from(`${isUsual ? '<Envelope><Body>' : '<'}${pieces.join('')}`);
        const found = search.search(bytes, XML, true) as ScanResult;
        if (found.operation === NAME) expect(exact.mayHave(bytes, XML)).toBe(true);
        if (found.operation === NAME || found.operation === 'log-on')
          expect(loose.mayHave(bytes, XML)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });
});
