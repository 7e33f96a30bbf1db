import { isUtf8 } from 'node:buffer';

/**
 * The longest user name, in UTF-16 code units. SAP user names have up to 12 characters; aliases and names of other
 * systems may be longer.
 */
export const USER_LIMIT = 256;

/**
 * To be raised whenever {@link canonicalUser} returns something else for any name: gateways that differ would take one
 * agent for two. Form 1 converted every character to upper case, even if two names then became equal.
 */
export const USER_NAME_FORM = 2;

/**
 * The spelling under which user names are compared: Unicode normal form C, trimmed, upper case. Returns `undefined` for
 * what cannot be a user name, because it is empty, too long or has control characters.
 */
export function canonicalUser(raw: string): string | undefined {
  // The time for normalising grows with the length. It merges at most four characters into one.
  if (raw.length > USER_LIMIT * 4) return undefined;
  const name = isCanonicalAscii(raw) ? raw : canonicalise(raw);
  if (name === '' || name.length > USER_LIMIT || hasForbidden(name)) return undefined;
  return name;
}

/** Is it printable ASCII without lower case and spaces? Nearly all names arrive like that. */
function isCanonicalAscii(raw: string): boolean {
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f || (code >= 0x61 && code <= 0x7a)) return false;
  }
  return true;
}

function canonicalise(raw: string): string {
  // Upper case can break the normal form, so normalise again.
  return upperCase(raw.normalize('NFC').trim()).normalize('NFC');
}

/** Converts to upper case, except characters that would then equal others: `ı` is not `i`, and `ß` is not `ss`. */
function upperCase(name: string): string {
  let upper = '';
  for (const character of name) {
    const mapped = character.toUpperCase();
    upper += mapped.toLowerCase() === character ? mapped : character;
  }
  return upper;
}

/** Are there control characters, or halves of surrogate pairs, which cannot be encoded for the store? */
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
 * The text of a header value. Node reads the bytes of a header as Latin-1. If they are valid UTF-8, the client meant
 * UTF-8, because Latin-1 text beyond ASCII practically never is. A user thus has the same name in headers and bodies.
 */
export function decodeHeaderValue(value: string): string {
  let at = 0;
  while (at < value.length && value.charCodeAt(at) < 0x80) at++;
  if (at === value.length) return value;
  for (; at < value.length; at++) if (value.charCodeAt(at) > 0xff) return value;
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : value;
}
