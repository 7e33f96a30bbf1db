import { isUtf8 } from 'node:buffer';

/**
 * Longest user name, in UTF-16 code units. SAP's own are of 12 characters;
 * aliases and names of other systems may be longer.
 */
export const USER_LIMIT = 256;

/**
 * Raised with every change of what {@link canonicalUser} makes of any name: gateways that differ would take one agent
 * for two. Releases before 2 made upper case of every character, also where that mixes up two names.
 */
export const USER_NAME_FORM = 2;

/**
 * The one spelling of a user name under which it is compared: Unicode
 * normalised, trimmed, upper case. Returns `undefined` for what cannot be a user
 * name: nothing, something too long, or something with control characters.
 */
export function canonicalUser(raw: string): string | undefined {
  // Normalising costs time in proportion to the length. It makes one character of four at most.
  if (raw.length > USER_LIMIT * 4) return undefined;
  const name = isCanonicalAscii(raw) ? raw : canonicalise(raw);
  if (name === '' || name.length > USER_LIMIT || hasForbidden(name)) return undefined;
  return name;
}

/** Printable ASCII without lower case and without spaces, as nearly all names arrive. */
function isCanonicalAscii(raw: string): boolean {
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f || (code >= 0x61 && code <= 0x7a)) return false;
  }
  return true;
}

function canonicalise(raw: string): string {
  // Upper case may undo the normal form, so it is made again.
  return upperCase(raw.normalize('NFC').trim()).normalize('NFC');
}

/** In upper case, but for those characters that it would mix up with others: `ı` is no `i`, and `ß` is no `ss`. */
function upperCase(name: string): string {
  let upper = '';
  for (const character of name) {
    const mapped = character.toUpperCase();
    upper += mapped.toLowerCase() === character ? mapped : character;
  }
  return upper;
}

/** Control characters, and halves of surrogate pairs, which no encoding could carry to the store. */
function hasForbidden(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const codePoint = name.codePointAt(at) as number;
    if (codePoint < 0x20 || (codePoint >= 0x7f && codePoint <= 0x9f)) return true;
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) return true;
    if (codePoint > 0xffff) at++;
  }
  return false;
}

/**
 * The text of a header value. Node gives the bytes of a header as Latin-1; a
 * client that means UTF-8 is recognised by bytes that are valid UTF-8, which
 * Latin-1 text beyond ASCII practically never is. So a user is one name in
 * headers and in bodies.
 */
export function decodeHeaderValue(value: string): string {
  let at = 0;
  while (at < value.length && value.charCodeAt(at) < 0x80) at++;
  if (at === value.length) return value;
  for (; at < value.length; at++) if (value.charCodeAt(at) > 0xff) return value;
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : value;
}
