import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';

/**
 * Encodings in which every ASCII character is one byte, so that markup can be found without decoding. `windows-1250` and
 * the like stand for all that have such a name in the Encoding Standard of WHATWG.
 */
export type ByteEncoding = 'utf-8' | 'us-ascii' | 'iso-8859-1' | 'iso-8859-15' | 'windows-1252' | WhatwgName;
type WhatwgName = string & {};
type Encoding = ByteEncoding | ByteOrder;

/** A document without byte order mark whose markup can be read byte by byte. */
export interface ReadableText {
  readonly bytes: Buffer;
  readonly encoding: ByteEncoding;
}

// The names that SOAP stacks send most, and those that mean something else to WHATWG, for which Latin-1 is windows-1252.
const LABELS: ReadonlyMap<string, Encoding | 'utf-16'> = new Map<string, Encoding | 'utf-16'>([
  ['utf-8', 'utf-8'],
  ['utf8', 'utf-8'],
  ['us-ascii', 'us-ascii'],
  ['ascii', 'us-ascii'],
  ['iso-8859-1', 'iso-8859-1'],
  ['iso_8859-1', 'iso-8859-1'],
  ['iso8859-1', 'iso-8859-1'],
  ['latin1', 'iso-8859-1'],
  ['iso-8859-15', 'iso-8859-15'],
  ['iso_8859-15', 'iso-8859-15'],
  ['iso8859-15', 'iso-8859-15'],
  ['latin-9', 'iso-8859-15'],
  ['windows-1252', 'windows-1252'],
  ['cp1252', 'windows-1252'],
  // To WHATWG this is UTF-16 LE, whatever the bytes are.
  ['utf-16', 'utf-16'],
  ['utf16', 'utf-16'],
  ['utf-16le', 'utf-16le'],
  ['utf-16be', 'utf-16be'],
]);

// The XML declaration must be at the very beginning, and is far shorter.
const DECLARATION_LIMIT = 256;
const DECLARED_ENCODING = /^<\?xml\s[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']/;

// Encodings of 7 bits in which a byte may mean `<` or something else, by what stands before it.
const HAS_STATES = /^(?:utf-?7|csutf7|unicode-1-1-utf-7|hz-gb|(?:cs)?iso-?2022)/;
// What can be a label at all. Others count as missing.
const LABEL = /^[\w.:+()-]+$/;
// An operator's clients use very few.
const MAX_LABELS = 100;

const encodings = new Map<string, Encoding | 'utf-16' | undefined>(LABELS);

/**
 * The encoding of this label, in lower case, as WHATWG or another platform spells it (`ISO8859_1`, `utf_8`, `Latin-1`).
 * An unknown one is taken for an extension of ASCII, as nearly all are: if the markup can be read, the label's other
 * characters do not matter. Returns `undefined` if that cannot be.
 */
function encodingOf(label: string): Encoding | 'utf-16' | undefined {
  if (encodings.has(label)) return encodings.get(label);
  const encoding = HAS_STATES.test(label) ? undefined : (knownAs(label) ?? 'us-ascii');
  if (encodings.size < MAX_LABELS) encodings.set(label, encoding);
  return encoding;
}

function knownAs(label: string): Encoding | 'utf-16' | undefined {
  for (const spelling of [label, label.replaceAll('_', '-'), label.replaceAll(/[_-]/g, '')]) {
    const known = LABELS.get(spelling) ?? decoderOf(spelling)?.encoding;
    if (known !== undefined) return known;
  }
  return undefined;
}

/**
 * Detects the encoding of the document: by its byte order mark, else the charset of the Content-Type, else its XML
 * declaration, else UTF-8 (RFC 7303 section 3). A label that is empty or broken, or that says UTF-16 of a document whose
 * first character is one byte, counts as missing. Transcodes UTF-16 to UTF-8. Returns `undefined` for an encoding that
 * cannot be searched, and for invalid UTF-16.
 *
 * @param complete false if the bytes are only the beginning of the document
 */
export function openText(
  bytes: Buffer,
  charset: string | undefined,
  complete: boolean,
): ReadableText | undefined {
  const first = bytes[0];
  const second = bytes[1];
  if (first === 0xef && second === 0xbb && bytes[2] === 0xbf) {
    return { bytes: bytes.subarray(3), encoding: 'utf-8' };
  }
  if (first === 0xff && second === 0xfe) return fromUtf16(bytes.subarray(2), 'utf-16le', complete);
  if (first === 0xfe && second === 0xff) return fromUtf16(bytes.subarray(2), 'utf-16be', complete);
  // XML 1.0 appendix F: without a byte order mark, the first character `<` shows the byte order.
  const order =
    first === 0x3c && second === 0 ? 'utf-16le' : first === 0 && second === 0x3c ? 'utf-16be' : undefined;
  const isBytes = first === 0x3c && order === undefined;

  let hasLabel = false;
  for (const label of [charset, declaredEncoding(bytes)]) {
    if (label === undefined || !LABEL.test(label)) continue;
    hasLabel = true;
    const encoding = encodingOf(label.toLowerCase());
    if (encoding === undefined) return undefined;
    if (encoding !== 'utf-16' && !isOrdered(encoding)) return { bytes, encoding };
    if (isBytes) continue;
    const given = isOrdered(encoding) ? encoding : order;
    return given === undefined ? undefined : fromUtf16(bytes, given, complete);
  }
  if (order !== undefined && !hasLabel) return fromUtf16(bytes, order, complete);
  return { bytes, encoding: 'utf-8' };
}

type ByteOrder = 'utf-16le' | 'utf-16be';

function isOrdered(encoding: string): encoding is ByteOrder {
  return encoding === 'utf-16le' || encoding === 'utf-16be';
}

function declaredEncoding(bytes: Buffer): string | undefined {
  if (bytes[0] !== 0x3c || bytes[1] !== 0x3f) return undefined;
  return DECLARED_ENCODING.exec(bytes.toString('latin1', 0, Math.min(bytes.length, DECLARATION_LIMIT)))?.[1];
}

function fromUtf16(bytes: Buffer, order: ByteOrder, complete: boolean): ReadableText | undefined {
  try {
    // With `stream`, half a character at the end is no error.
    const text = new TextDecoder(order, { fatal: true }).decode(bytes, { stream: !complete });
    return { bytes: Buffer.from(text, 'utf8'), encoding: 'utf-8' };
  } catch {
    return undefined;
  }
}

/** Decodes a range of bytes, or returns `undefined` if they are invalid in that encoding. */
export function decodeBytes(
  bytes: Buffer,
  start: number,
  end: number,
  encoding: ByteEncoding,
): string | undefined {
  let at = start;
  while (at < end && (bytes[at] as number) < 0x80) at++;
  if (at === end || encoding === 'iso-8859-1') return bytes.toString('latin1', start, end);
  switch (encoding) {
    case 'utf-8':
      return isUtf8(bytes.subarray(start, end)) ? bytes.toString('utf8', start, end) : undefined;
    case 'us-ascii':
      return undefined;
    case 'iso-8859-15':
      return remap(bytes.toString('latin1', start, end), LATIN_9);
    case 'windows-1252':
      return remap(bytes.toString('latin1', start, end), WINDOWS_1252);
    default:
      return decodeWith(decoderOf(encoding), bytes.subarray(start, end));
  }
}

// In the first KB, as in the HTML standard.
const META_LIMIT = 1_024;
const META_CHARSET = /<meta\s[^>]*charset\s*=\s*["']?\s*([\w.:+()-]+)/i;

/**
 * The text of a page that people or programs wrote by any means. Its encoding is that of its byte order mark, else the
 * charset of the Content-Type, else the one that it declares as XML or HTML, else UTF-8, else windows-1252. What is not
 * valid in that encoding becomes U+FFFD.
 */
export function pageText(bytes: Buffer, charset: string | undefined): string {
  const labels = [
    charset,
    declaredEncoding(bytes),
    META_CHARSET.exec(bytes.toString('latin1', 0, META_LIMIT))?.[1],
  ];
  const label = labels.find((one) => one !== undefined && LABEL.test(one))?.toLowerCase();
  const encoding = markedEncoding(bytes) ?? (label === undefined ? undefined : pageEncoding(label, bytes));
  return new TextDecoder(encoding ?? (isBeginningOfUtf8(bytes) ? 'utf-8' : 'windows-1252')).decode(bytes);
}

function markedEncoding(bytes: Buffer): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
}

/** A name that the runtime's decoder knows; `undefined` if the label says nothing about characters beyond ASCII. */
function pageEncoding(label: string, bytes: Buffer): string | undefined {
  const encoding = encodingOf(label) ?? decoderOf(label)?.encoding;
  if (encoding === undefined || encoding === 'us-ascii') return undefined;
  if (!encoding.startsWith('utf-16')) return encoding;
  // A page whose markup is ASCII shows that the label is wrong.
  if (!bytes.includes(0)) return undefined;
  return isOrdered(encoding) ? encoding : bytes[0] === 0 ? 'utf-16be' : 'utf-16le';
}

/** Half a character at the end is no error, because a long page is cut. */
function isBeginningOfUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

const decoders = new Map<string, TextDecoder | undefined>();

/** The runtime's decoder, `undefined` for a label that it does not know. */
function decoderOf(label: string): TextDecoder | undefined {
  if (decoders.has(label)) return decoders.get(label);
  let decoder: TextDecoder | undefined;
  try {
    decoder = new TextDecoder(label, { fatal: true });
  } catch {
    // The label is unknown.
  }
  if (decoders.size < MAX_LABELS) decoders.set(label, decoder);
  return decoder;
}

function decodeWith(decoder: TextDecoder | undefined, bytes: Buffer): string | undefined {
  try {
    return decoder?.decode(bytes);
  } catch {
    return undefined;
  }
}

function remap(latin1: string, differences: ReadonlyMap<string, string>): string {
  let text = '';
  for (const character of latin1) text += differences.get(character) ?? character;
  return text;
}

// The characters in which ISO/IEC 8859-15 differs from 8859-1.
const LATIN_9: ReadonlyMap<string, string> = new Map([
  ['\u00a4', '€'],
  ['\u00a6', 'Š'],
  ['\u00a8', 'š'],
  ['\u00b4', 'Ž'],
  ['\u00b8', 'ž'],
  ['\u00bc', 'Œ'],
  ['\u00bd', 'œ'],
  ['\u00be', 'Ÿ'],
]);

// Bytes 0x80 to 0x9f. Runtimes disagree whether the five unassigned bytes (here a space) are characters, so this table
// leaves them unchanged.
const WINDOWS_1252: ReadonlyMap<string, string> = new Map(
  [...'€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ'].flatMap((character, index): [string, string][] =>
    character === ' ' ? [] : [[String.fromCharCode(0x80 + index), character]],
  ),
);
