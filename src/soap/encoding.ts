import { isUtf8 } from 'node:buffer';

/** Encodings in which every ASCII character is one byte, so that markup can be found without decoding. */
export type ByteEncoding = 'utf-8' | 'us-ascii' | 'iso-8859-1' | 'iso-8859-15' | 'windows-1252';
export type Encoding = ByteEncoding | 'utf-16le' | 'utf-16be';

/** A document without byte order mark whose markup can be read byte by byte. */
export interface ReadableText {
  readonly bytes: Buffer;
  readonly encoding: ByteEncoding;
}

// The names and aliases of the IANA character set registry that SOAP stacks send.
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
  ['utf-16', 'utf-16'],
  ['utf16', 'utf-16'],
  ['utf-16le', 'utf-16le'],
  ['utf-16be', 'utf-16be'],
]);

// The XML declaration must be at the very beginning, and is far shorter.
const DECLARATION_LIMIT = 256;
const DECLARED_ENCODING = /^<\?xml\s[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']/;

/**
 * Detects the encoding of the document: by its byte order mark, else the charset of the Content-Type, else its XML
 * declaration, else UTF-8 (RFC 7303 section 3). Transcodes UTF-16 to UTF-8. Returns `undefined` for an unknown encoding
 * and for invalid UTF-16.
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

  const label = charset ?? declaredEncoding(bytes);
  const declared = label === undefined ? 'utf-8' : LABELS.get(label.toLowerCase());
  if (declared === undefined) return undefined;
  if (declared === 'utf-16le' || declared === 'utf-16be') return fromUtf16(bytes, declared, complete);
  // XML 1.0 appendix F: without a byte order mark, the first character `<` shows the byte order.
  const order =
    first === 0x3c && second === 0 ? 'utf-16le' : first === 0 && second === 0x3c ? 'utf-16be' : undefined;
  if (order !== undefined && (declared === 'utf-16' || label === undefined)) {
    return fromUtf16(bytes, order, complete);
  }
  return declared === 'utf-16' ? undefined : { bytes, encoding: declared };
}

function declaredEncoding(bytes: Buffer): string | undefined {
  if (bytes[0] !== 0x3c || bytes[1] !== 0x3f) return undefined;
  return DECLARED_ENCODING.exec(bytes.toString('latin1', 0, Math.min(bytes.length, DECLARATION_LIMIT)))?.[1];
}

function fromUtf16(
  bytes: Buffer,
  order: 'utf-16le' | 'utf-16be',
  complete: boolean,
): ReadableText | undefined {
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
