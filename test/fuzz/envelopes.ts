import { TextDecoder } from 'node:util';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';

/** A SOAP message as a client sends it. */
export interface Posted {
  readonly contentType: string;
  readonly contentEncoding: string | undefined;
  readonly body: Buffer;
  /** The document as one reads it who honours what the client declares; `\ufffd` stands for bytes that mean nothing. */
  readonly document: string;
  /** Not everyone may see that it is UTF-16: nothing says so, and it does not begin with markup. */
  readonly isDoubtful: boolean;
}

interface Charset {
  /** Spellings of its name, the usual one first. */
  readonly labels: readonly string[];
  encode(text: string): Buffer;
  decode(bytes: Buffer): string;
}

const decoding = (label: string) => {
  const decoder = new TextDecoder(label);
  return (bytes: Buffer): string => decoder.decode(bytes);
};

/** A charset of one byte for each character. What it lacks is written as a character reference. */
function singleByte(decode: (bytes: Buffer) => string, ...labels: string[]): Charset {
  const codes = new Map(
    Array.from({ length: 256 }, (_, byte) => [decode(Buffer.of(byte)), byte] as const).filter(
      ([character]) => character !== '\ufffd',
    ),
  );
  const written = (character: string): string =>
    codes.has(character) ? character : `&#${character.codePointAt(0)};`;
  return {
    labels,
    encode: (text) =>
      Buffer.from(Array.from(Array.from(text, written).join(''), (one) => codes.get(one) ?? 0x3f)),
    decode,
  };
}

const ASCII = (bytes: Buffer): string => bytes.toString('latin1').replaceAll(/[\x80-\xff]/g, '\ufffd');
const UTF8: Charset = {
  labels: ['utf-8', 'UTF8', 'utf_8', '"UTF-8"'],
  encode: (text) => Buffer.from(text),
  decode: decoding('utf-8'),
};
const CHARSETS: readonly Charset[] = [
  UTF8,
  singleByte((bytes) => bytes.toString('latin1'), 'iso-8859-1', 'ISO8859_1', 'Latin1', 'iso_8859-1'),
  singleByte(decoding('windows-1252'), 'windows-1252', 'CP1252'),
  singleByte(decoding('iso-8859-15'), 'ISO-8859-15', 'iso8859-15', 'Latin-9'),
  singleByte(decoding('windows-1250'), 'windows-1250', 'Cp1250', 'x-cp1250'),
  singleByte(decoding('iso-8859-2'), 'iso-8859-2', 'latin2', 'ISO8859_2'),
  singleByte(decoding('windows-1251'), 'windows-1251', 'cp1251'),
  singleByte(decoding('koi8-r'), 'KOI8-R', 'koi8_r'),
  singleByte(ASCII, 'us-ascii', 'ASCII'),
];
/** Encodings of two bytes for each character, and byte order marks, which count more than what is declared. */
const WIDE: readonly { readonly isMarked: boolean; encode(text: string): Buffer }[] = [
  { isMarked: true, encode: (text) => Buffer.from(`\ufeff${text}`, 'utf16le') },
  { isMarked: true, encode: (text) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16() },
  { isMarked: true, encode: (text) => Buffer.from(`\ufeff${text}`) },
  { isMarked: false, encode: (text) => Buffer.from(text, 'utf16le') },
  { isMarked: false, encode: (text) => Buffer.from(text, 'utf16le').swap16() },
];

// --- documents -----------------------------------------------------------------

const NAME = fc.constantFrom(
  ...[
    'user',
    'userId',
    'userId',
    'USER_ID',
    'user-name',
    'userName',
    'soapUser',
    'x',
    'logon',
    'agent',
    'users',
    'attachedData',
  ],
  ...[
    'participant',
    'userIds',
    'appIds',
    'item',
    'Body',
    'Header',
    'Envelope',
    'u\u017fer',
    '\u00fcser',
    'userIdx',
    'multiRef',
  ],
);
const PREFIX = fc.constantFrom('', '', '', 'p:', 'q:', 's:');
const PERSON = fc.constantFrom(
  ...[
    'MILLER',
    'SMITH',
    'jones',
    'M\u00dcLLER',
    '\u0141UKASZ',
    '\u0416UKOV',
    '\u20acURO',
    'O&apos;HARA',
    'A&amp;B',
    '&#77;ILLER',
    '&#x4d;ILLER',
  ],
  ...[
    ' MILLER ',
    '\nSMITH\r\n',
    'A B',
    '*',
    '',
    ' ',
    '+49 1',
    'http://x',
    '%',
    '&lt;user&gt;E&lt;/user&gt;',
    '0042',
    'A\u0001',
    '&#0;',
    '&#55296;',
  ],
  ...[
    '&unknown;',
    '&',
    'MIL<!-- x -->LER',
    '<![CDATA[MILLER]]>',
    '<![CDATA[</user>]]>',
    'MIL<?pi x?>LER',
    ']]>',
    '<![CDATA[A&amp;B]]>',
    '\ufffe',
  ],
);
const ATTRIBUTES = fc.constantFrom(
  ...[
    '',
    '',
    '',
    '',
    '',
    ' a="1"',
    " a='>'",
    ' xmlns="urn:x"',
    ' xmlns:p="urn:y"',
    ' xmlns=""',
    ' a="<"',
    ' a=1',
    ' a',
    ' a="1" a="2"',
  ],
  ...[
    ' xml:lang="de"',
    ' xsi:type="x"',
    ' a="&amp;"',
    ' a="&"',
    ' a="1"b="2"',
    ' href="#id0"',
    ' id="id0"',
    ' xmlns:s="urn:z"',
    ' /',
    '\n',
    ' xmlns:p=""',
  ],
);
const NOISE = fc.constantFrom(
  ...[
    '',
    '',
    '',
    ' ',
    '\n',
    'text',
    '<!-- <user>E</user> -->',
    '<?pi <user>E</user>?>',
    '<![CDATA[<user>E</user>]]>',
    '<!---->',
    '<!-- -- -->',
  ],
);

const ELEMENT = fc.letrec<{ element: string; content: string }>((tie) => ({
  content: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 3, arbitrary: PERSON },
    {
      weight: 3,
      arbitrary: fc.array(fc.oneof(tie('element'), NOISE), { maxLength: 4 }).map((all) => all.join('')),
    },
  ),
  element: fc
    .tuple(PREFIX, NAME, ATTRIBUTES, tie('content'), fc.boolean())
    .map(([prefix, name, attributes, content, isEmpty]) => {
      const tag = prefix + name;
      return isEmpty && content === ''
        ? `<${tag}${attributes}/>`
        : `<${tag}${attributes}>${content}</${tag}>`;
    }),
})).element;
const CONTENT = fc
  .array(fc.oneof({ weight: 3, arbitrary: ELEMENT }, NOISE), { maxLength: 3 })
  .map((all) => all.join(''));

const DOCUMENT = fc
  .record({
    prolog: fc.constantFrom(
      '',
      '',
      '',
      '',
      '<!-- x -->',
      '\n',
      '<!DOCTYPE x [<!ENTITY e "E">]>',
      '<?pi?>',
      'x',
      '<x/>',
    ),
    prefix: fc.constantFrom('s:', ''),
    namespace: fc.constantFrom(
      'http://schemas.xmlsoap.org/soap/envelope/',
      'http://www.w3.org/2003/05/soap-envelope',
      'urn:z',
    ),
    header: fc.option(CONTENT),
    extra: fc.oneof({ weight: 4, arbitrary: fc.constant('') }, ELEMENT),
    body: CONTENT,
    after: fc.constantFrom('', '', '', '', '<x/>', '<userId>LATE</userId>', 'x'),
    end: fc.constantFrom('', '', '', '\n', '<x/>', 'x', '<!-- x -->'),
  })
  .map(({ prolog, prefix, namespace, header, extra, body, after, end }) => {
    const declaration = prefix === '' ? 'xmlns' : `xmlns:${prefix.slice(0, -1)}`;
    const section = (name: string, content: string): string =>
      `<${prefix}${name}>${content}</${prefix}${name}>`;
    const head = header === null ? '' : section('Header', header);
    const all = `${head}${extra}${section('Body', body)}${after}`;
    return `${prolog}<${prefix}Envelope ${declaration}="${namespace}" xmlns:p="urn:p" xmlns:q="urn:q">${all}</${prefix}Envelope>${end}`;
  });

/** Replaces a few characters anywhere. */
interface Damage {
  readonly at: number;
  readonly removed: number;
  readonly inserted: string;
}

const MARKUP = [
  '<',
  '>',
  '/',
  '"',
  "'",
  '&',
  ';',
  '=',
  ' ',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<?',
  '?>',
  '</',
  '/>',
  '\u0000',
  ':',
  '</s:Body>',
];
const DAMAGE: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(1_000),
  removed: fc.nat(3),
  inserted: fc.constantFrom('', ...MARKUP),
});

// --- how they are sent -----------------------------------------------------------

const WRAP = fc.constantFrom('none', 'none', 'none', 'none', 'none', 'gzip', 'multipart');

export const POSTED: fc.Arbitrary<Posted> = fc
  .record({
    text: DOCUMENT,
    damages: fc.oneof(
      { weight: 4, arbitrary: fc.constant<Damage[]>([]) },
      fc.array(DAMAGE, { minLength: 1, maxLength: 2 }),
    ),
    wide: fc.option(fc.constantFrom(...WIDE), { freq: 8 }),
    written: fc.constantFrom(...CHARSETS),
    // What header and XML declaration say: nothing, the truth in any spelling, or something else.
    byHeader: fc.oneof(
      fc.constant('none'),
      { weight: 3, arbitrary: fc.constant('truth') },
      fc.nat(CHARSETS.length - 1),
    ),
    byDeclaration: fc.oneof(
      fc.constant('none'),
      { weight: 3, arbitrary: fc.constant('truth') },
      fc.nat(CHARSETS.length - 1),
    ),
    spelling: fc.nat(3),
    wrap: WRAP,
  })
  .map(({ text, damages, wide, written, byHeader, byDeclaration, spelling, wrap }) => {
    const damaged = damages.reduce((now, { at, removed, inserted }) => {
      const from = Math.floor((at * now.length) / 1_000);
      return now.slice(0, from) + inserted + now.slice(from + removed);
    }, text);
    const charsetOf = (said: string | number): Charset | undefined =>
      typeof said === 'number' ? CHARSETS[said] : said === 'truth' && wide === null ? written : undefined;
    const label = (charset: Charset): string => charset.labels[spelling % charset.labels.length] as string;
    const [inHeader, inDeclaration] = [charsetOf(byHeader), charsetOf(byDeclaration)];
    const declared =
      inDeclaration === undefined
        ? ''
        : `<?xml version="1.0" encoding="${label(inDeclaration).replaceAll('"', '')}"?>`;
    const whole = declared + damaged;
    const bytes = (wide ?? written).encode(whole);
    const declares =
      wide === null ? (inHeader ?? inDeclaration ?? UTF8) : wide.isMarked ? undefined : inHeader;
    const document = declares?.decode(bytes) ?? whole;
    const type = `text/xml${inHeader === undefined ? '' : `; charset=${label(inHeader)}`}`;
    const isDoubtful = wide?.isMarked === false && !whole.startsWith('<');
    return { ...wrapped(bytes, type, wrap), document, isDoubtful };
  });

function wrapped(
  bytes: Buffer,
  type: string,
  wrap: string,
): Pick<Posted, 'contentType' | 'contentEncoding' | 'body'> {
  if (wrap === 'gzip') return { contentType: type, contentEncoding: 'gzip', body: gzipSync(bytes) };
  if (wrap === 'none') return { contentType: type, contentEncoding: undefined, body: bytes };
  const body = Buffer.concat([
    Buffer.from(`--b\r\nContent-Type: ${type}\r\n\r\n`),
    bytes,
    Buffer.from('\r\n--b--\r\n'),
  ]);
  return { contentType: 'multipart/related; type="text/xml"; boundary=b', contentEncoding: undefined, body };
}
