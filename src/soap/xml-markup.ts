/**
 * Functions that find the ends of XML markup in bytes of an ASCII-compatible encoding.
 *
 * Each returns the index that its name says, {@link RAN_OUT} if the bytes end before, or {@link BROKEN} if the markup
 * is malformed.
 */
export const RAN_OUT = -1;
export const BROKEN = -2;

export const LT = 0x3c;
const GT = 0x3e;
export const SLASH = 0x2f;
export const BANG = 0x21;
export const QUESTION = 0x3f;
export const COLON = 0x3a;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;

const CDATA_START = Buffer.from('<![CDATA[');
const CDATA_END = Buffer.from(']]>');
const COMMENT_END = Buffer.from('-->');
const INSTRUCTION_END = Buffer.from('?>');

// Every byte above ASCII counts as part of a name. XML does not allow all of those characters, but none ends a name.
const NAME_BYTES = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const isName = byte >= 0x80 || /[A-Za-z0-9._-]/.test(String.fromCharCode(byte));
  NAME_BYTES[byte] = isName ? 1 : 0;
}

function isNameByte(byte: number | undefined): boolean {
  return byte !== undefined && NAME_BYTES[byte] === 1;
}

function isNameStart(byte: number | undefined): boolean {
  // A name may contain digits, full stops and hyphens, but not begin with them.
  return (
    isNameByte(byte) &&
    !(byte === 0x2d || byte === 0x2e || (byte !== undefined && byte >= 0x30 && byte <= 0x39))
  );
}

export function isSpaceByte(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

// Calling the native search costs about as much as comparing this many bytes.
const NEAR = 32;

/** The index of the next `byte`, or {@link RAN_OUT}. */
function find(bytes: Buffer, byte: number, from: number): number {
  const near = Math.min(bytes.length, from + NEAR);
  for (let at = from; at < near; at++) if (bytes[at] === byte) return at;
  return near >= bytes.length ? RAN_OUT : bytes.indexOf(byte, near);
}

/** The next `<`. */
export function nextMarkup(bytes: Buffer, from: number): number {
  return find(bytes, LT, from);
}

/** The first byte after the name that begins at `from` in a start tag, with or without a prefix. */
export function endOfName(bytes: Buffer, from: number): number {
  const end = bytes.length;
  if (!isNameStart(bytes[from])) return from < end ? BROKEN : RAN_OUT;
  let at = from + 1;
  let hasPrefix = false;
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    if (NAME_BYTES[byte] === 1) continue;
    if (byte !== COLON) return byte === GT || byte === SLASH || isSpaceByte(byte) ? at : BROKEN;
    if (hasPrefix || !(at + 1 === end || isNameStart(bytes[at + 1]))) return BROKEN;
    hasPrefix = true;
  }
  return RAN_OUT;
}

/** The start of the local part of the name between `from` and `to`. */
export function startOfLocalName(bytes: Buffer, from: number, to: number): number {
  for (let at = from; at < to; at++) if (bytes[at] === COLON) return at + 1;
  return from;
}

/** The `>` of an end tag whose name begins at `from`. The name is not checked. */
export function endOfEndTag(bytes: Buffer, from: number): number {
  let at = from;
  while (isNameByte(bytes[at]) || bytes[at] === COLON) at++;
  return at === from && at < bytes.length ? BROKEN : endOfSpace(bytes, at);
}

/** The next `>`, with only white space before it. */
export function endOfSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (isSpaceByte(bytes[at])) at++;
  if (bytes[at] === GT) return at;
  return at < bytes.length ? BROKEN : RAN_OUT;
}

/** The `>` that ends a start tag; `from` is the first byte after its name. */
export function endOfTag(bytes: Buffer, from: number): number {
  const end = bytes.length;
  let at = from;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === GT) return at;
    if (byte === QUOTE || byte === APOSTROPHE) {
      at = find(bytes, byte, at + 1);
      if (at < 0) return RAN_OUT;
    } else if (byte === LT || (byte === SLASH && at + 1 < end && bytes[at + 1] !== GT)) {
      return BROKEN;
    }
    at++;
  }
  return RAN_OUT;
}

/** The first byte after the `-->` of the comment that begins at `from`. */
export function endOfComment(bytes: Buffer, from: number): number {
  const at = bytes.indexOf(COMMENT_END, from + 4);
  return at === -1 ? RAN_OUT : at + 3;
}

/** The first byte after the `?>` of the processing instruction that begins at `from`. */
export function endOfInstruction(bytes: Buffer, from: number): number {
  const at = bytes.indexOf(INSTRUCTION_END, from + 2);
  return at === -1 ? RAN_OUT : at + 2;
}

/** The `]]>` of the CDATA section whose content begins at `from`. */
export function endOfCdata(bytes: Buffer, from: number): number {
  const at = bytes.indexOf(CDATA_END, from);
  return at === -1 ? RAN_OUT : at;
}

export const CDATA_START_LENGTH = CDATA_START.length;
export const CDATA_END_LENGTH = CDATA_END.length;

export type Declaration = 'comment' | 'cdata' | 'doctype' | 'ran-out' | 'broken';

/** The kind of declaration that begins with the `<!` at `from`. */
export function declarationAt(bytes: Buffer, from: number): Declaration {
  const third = bytes[from + 2];
  if (third === 0x2d) {
    const fourth = bytes[from + 3];
    return fourth === 0x2d ? 'comment' : fourth === undefined ? 'ran-out' : 'broken';
  }
  if (third === 0x44) return 'doctype';
  if (third !== 0x5b) return third === undefined ? 'ran-out' : 'broken';
  for (let index = 3; index < CDATA_START.length; index++) {
    const byte = bytes[from + index];
    if (byte === undefined) return 'ran-out';
    if (byte !== CDATA_START[index]) return 'broken';
  }
  return 'cdata';
}

/** Start and end of an attribute's name, and of its value without the quotes. */
export interface Attribute {
  nameStart: number;
  nameEnd: number;
  valueStart: number;
  valueEnd: number;
}

/**
 * Reads the next attribute between `from` and `to` into `attribute`. `to` comes from {@link endOfTag}. Returns the
 * first byte after it, {@link RAN_OUT} if there is no further one, or {@link BROKEN}.
 */
export function nextAttribute(bytes: Buffer, from: number, to: number, attribute: Attribute): number {
  let at = from;
  while (at < to && isSpaceByte(bytes[at])) at++;
  if (at === to || (bytes[at] === SLASH && at + 1 === to)) return RAN_OUT;
  attribute.nameStart = at;
  while (at < to && (isNameByte(bytes[at]) || bytes[at] === COLON)) at++;
  attribute.nameEnd = at;
  while (at < to && isSpaceByte(bytes[at])) at++;
  if (attribute.nameEnd === attribute.nameStart || bytes[at] !== EQUALS) return BROKEN;
  at++;
  while (at < to && isSpaceByte(bytes[at])) at++;
  const quote = bytes[at];
  if (quote !== QUOTE && quote !== APOSTROPHE) return BROKEN;
  attribute.valueStart = ++at;
  while (at < to && bytes[at] !== quote) at++;
  attribute.valueEnd = at;
  return at < to ? at + 1 : BROKEN;
}

/** Is there only white space from `start` to `end`? */
export function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!isSpaceByte(bytes[at])) return false;
  return true;
}

/** Are the bytes at `from` those of `wanted`? */
export function hasBytes(bytes: Buffer, from: number, wanted: Buffer): boolean {
  for (let index = 0; index < wanted.length; index++) {
    if (bytes[from + index] !== wanted[index]) return false;
  }
  return true;
}

/** Are the `length` bytes at `one` and at `other` the same? */
export function sameBytes(bytes: Buffer, one: number, other: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    if (bytes[one + index] !== bytes[other + index]) return false;
  }
  return true;
}
