import { describe, expect, test } from 'vitest';
import { pageText } from '../../../src/soap/encoding.ts';
import { EnvelopeScanner } from '../../../src/soap/envelope-scanner.ts';

const SCANNER = new EnvelopeScanner(
  [
    { kind: 'user', local: 'user' },
    { kind: 'session', local: 'prüfung' },
  ],
  { maxDepth: 4 },
);

function document(user: string, declared?: string): string {
  const declaration = declared === undefined ? '' : `<?xml version="1.0" encoding="${declared}"?>`;
  return `${declaration}<Envelope><Body><m><user>${user}</user><x/></m></Body></Envelope>`;
}

function utf16be(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16();
}

const BOM = '\ufeff';

describe('an envelope is read', () => {
  test.each([
    ['in UTF-8, which is the default', Buffer.from(document('Žö€')), undefined, 'Žö€'],
    ['in UTF-8 with a byte order mark', Buffer.from(BOM + document('ö', 'iso-8859-1')), 'utf-16', 'ö'],
    ['in UTF-16 LE with a byte order mark', Buffer.from(BOM + document('ö€😀'), 'utf16le'), 'utf-8', 'ö€😀'],
    ['in UTF-16 BE with a byte order mark', utf16be(BOM + document('ö€😀')), undefined, 'ö€😀'],
    ['in declared UTF-16 LE without one', Buffer.from(document('ö€'), 'utf16le'), 'UTF-16', 'ö€'],
    ['in declared UTF-16 BE without one', utf16be(document('ö€')), 'utf-16', 'ö€'],
    [
      'in UTF-16 LE that only the XML declaration tells',
      Buffer.from(document('ö', 'utf-16'), 'utf16le'),
      undefined,
      'ö',
    ],
    ['in UTF-16 BE by its full name', utf16be(document('ö')), 'utf-16be', 'ö'],
    ['in ISO-8859-1', Buffer.from(document('ö\u0080\u00a4'), 'latin1'), 'ISO-8859-1', 'ö\u0080\u00a4'],
    ['in ISO-8859-15', Buffer.from(document('ö\u00a4\u00a6\u00bc'), 'latin1'), 'iso-8859-15', 'ö€ŠŒ'],
    ['in windows-1252', Buffer.from(document('ö\u0080\u008a\u009f'), 'latin1'), 'windows-1252', 'ö€ŠŸ'],
    ['in US-ASCII', Buffer.from(document('A&#246;')), 'us-ascii', 'Aö'],
    ['in the encoding that it declares', Buffer.from(document('ö', 'iso-8859-1'), 'latin1'), undefined, 'ö'],
    [
      'in the charset of the Content-Type, whatever it declares',
      Buffer.from(document('ö', 'iso-8859-1')),
      'utf-8',
      'ö',
    ],
    ['in UTF-8 whatever UTF-16 it declares', Buffer.from(document('ö', 'utf-16')), 'utf-8', 'ö'],
    ['in windows-1250', Buffer.from(document('\u008a\u00f8'), 'latin1'), 'windows-1250', 'Šř'],
    [
      'in ISO-8859-2 that it declares',
      Buffer.from(document('\u00a9', 'ISO-8859-2'), 'latin1'),
      undefined,
      'Š',
    ],
    ['in KOI8-R', Buffer.from(document('\u00e1'), 'latin1'), 'koi8-r', 'А'],
    [
      'in Shift_JIS, where a second byte may be ASCII',
      Buffer.from(document('\u0083\u005c'), 'latin1'),
      'SJIS',
      'ソ',
    ],
    ['in GBK', Buffer.from(document('\u00c4\u00e3'), 'latin1'), 'gb2312', '你'],
    ['in ISO-8859-1 as Java names it', Buffer.from(document('ö'), 'latin1'), 'ISO8859_1', 'ö'],
    ['in ISO-8859-1 as Python names it', Buffer.from(document('ö'), 'latin1'), 'latin-1', 'ö'],
    ['in UTF-8 as Python names it', Buffer.from(document('ö')), 'utf_8', 'ö'],
    ['in ASCII whose label is unknown', Buffer.from(document('A')), 'x-unknown', 'A'],
    ['in ASCII that it declares by an unknown label', Buffer.from(document('A', 'cp850')), undefined, 'A'],
    ['in UTF-8 if the label is empty', Buffer.from(document('ö')), '', 'ö'],
    ['as it declares if the label is empty', Buffer.from(document('ö', 'iso-8859-1'), 'latin1'), '', 'ö'],
    [
      'as it declares if the label is broken',
      Buffer.from(document('ö', 'iso-8859-1'), 'latin1'),
      'utf-8"',
      'ö',
    ],
    ['in UTF-8 although it is said to be in UTF-16', Buffer.from(document('ö')), 'utf-16', 'ö'],
    ['in UTF-8 although it declares UTF-16', Buffer.from(document('ö', 'utf-16')), undefined, 'ö'],
  ])('%s', (_how, bytes, charset, user) => {
    expect(SCANNER.scan(bytes, charset, true)).toMatchObject({ user, problem: undefined });
  });

  test('by names beyond ASCII in any encoding', () => {
    const text = '<Envelope><Body><m><prüfung>1</prüfung></m></Body></Envelope>';
    for (const bytes of [Buffer.from(text), Buffer.from(BOM + text, 'utf16le')]) {
      expect(SCANNER.scan(bytes, undefined, true).session).toBe('1');
    }
    for (const charset of ['iso-8859-1', 'windows-1252', 'iso-8859-15']) {
      expect(SCANNER.scan(Buffer.from(text, 'latin1'), charset, true).session).toBe('1');
    }
  });

  test('from a Uint8Array as from a Buffer', () => {
    const bytes = new Uint8Array(Buffer.from(`xx${document('A')}`)).subarray(2);
    expect(SCANNER.scan(bytes, undefined, true).user).toBe('A');
  });
});

describe('an encoding is refused', () => {
  const lone = Buffer.from(`${BOM}<Envelope><Body><m><user>A\ud800B</user></m></Body></Envelope>`, 'utf16le');
  test.each([
    ['in which `<` may be another character', Buffer.from(document('A')), 'utf-7'],
    ['in which it depends on what stands before', Buffer.from(document('A')), 'ISO-2022-JP'],
    ['that is unknown, of a value beyond ASCII', Buffer.from(document('ö')), 'x-unknown'],
    ['of Shift_JIS with half a character', Buffer.from(document('\u0083'), 'latin1'), 'shift_jis'],
    ['of UTF-16 without any sign of its byte order', Buffer.from(` ${document('A')}`), 'utf-16'],
    ['of invalid UTF-16', Buffer.from(` ${document('AB')}`), 'utf-16le'],
    ['with half a surrogate pair', lone, undefined],
    [
      'of UTF-16 with half a character',
      Buffer.concat([Buffer.from(BOM + document('A'), 'utf16le'), Buffer.of(0)]),
      undefined,
    ],
    ['of invalid UTF-8 in a value', Buffer.from(document('\u00f6'), 'latin1'), 'utf-8'],
    [
      'of UTF-8 where a value is longer than need be',
      Buffer.from(document('\u00c1\u0081'), 'latin1'),
      'utf-8',
    ],
    ['of US-ASCII where a value is beyond it', Buffer.from(document('ö')), 'us-ascii'],
  ])('%s', (_what, bytes, charset) => {
    expect(SCANNER.scan(bytes, charset, true)).toEqual({
      user: undefined,
      session: undefined,
      version: undefined,
      problem: 'encoding',
    });
  });

  test('only for a value; other bytes are left to the instance', () => {
    const bytes = Buffer.from(
      '<Envelope><Body><m><x>\u00f6</x><user>A</user></m></Body></Envelope>',
      'latin1',
    );
    expect(SCANNER.scan(bytes, 'utf-8', true)).toMatchObject({ user: 'A', problem: undefined });
  });
});

describe('truncated UTF-16', () => {
  test('is at worst truncated, wherever it is cut', () => {
    for (const bytes of [Buffer.from(BOM + document('ö😀'), 'utf16le'), utf16be(BOM + document('ö😀'))]) {
      for (let length = 0; length < bytes.length; length++) {
        const { user, problem } = SCANNER.scan(bytes.subarray(0, length), undefined, false);
        expect([undefined, 'truncated']).toContain(problem);
        expect([undefined, 'ö😀']).toContain(user);
      }
    }
  });
});

describe('the text of a page', () => {
  const latin1 = Buffer.from('verfügbar', 'latin1');
  const utf8 = Buffer.from('verfügbar');
  const utf16 = Buffer.from('\ufeffverfügbar', 'utf16le');

  test.each<[string, Buffer, string | undefined]>([
    ['a label', latin1, 'iso-8859-1'],
    ['a label in another spelling', latin1, 'ISO8859_1'],
    ['the label of another platform', latin1, 'cp1252'],
    ['no label, in UTF-8', utf8, undefined],
    ['no label, and not in UTF-8', latin1, undefined],
    ['a label that says nothing', latin1, 'us-ascii'],
    ['an unknown label, in UTF-8', utf8, 'x-unknown'],
    ['a broken label', latin1, '???'],
    ['a wrong label, and a byte order mark', utf16, 'iso-8859-1'],
    ['a label that says UTF-16 of bytes', utf8, 'utf-16'],
    ['a label and UTF-16 without a mark', Buffer.from('verfügbar', 'utf16le'), 'utf-16'],
    ['a mark of UTF-8', Buffer.from('\ufeffverfügbar'), undefined],
  ])('is found with %s', (_, bytes, charset) => {
    expect(pageText(bytes, charset)).toBe('verfügbar');
  });

  test.each([
    '<?xml version="1.0" encoding="ISO-8859-2"?><s>ő</s>',
    '<html><META CHARSET="iso-8859-2"><p>ő</p>',
    "<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-2'>ő",
  ])('is found with the encoding that it declares: %s', (text) => {
    expect(pageText(Buffer.from(text.replace('ő', '\u00f5'), 'latin1'), undefined)).toBe(text);
  });

  test('is known for UTF-8 if it is cut within a character', () => {
    expect(pageText(Buffer.from('übü').subarray(0, -1), undefined)).toMatch(/^üb/);
  });

  test('is what can be read of a page with invalid bytes in its charset', () => {
    expect(pageText(Buffer.from('a\xff\xc3\xbc', 'latin1'), 'utf-8')).toBe('a\ufffdü');
  });
});
