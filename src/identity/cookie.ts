/** The same cookie was sent with two different values. */
export const AMBIGUOUS: unique symbol = Symbol('ambiguous');

/** The cookie was sent, and is longer than any session id. */
export const TOO_LONG: unique symbol = Symbol('too long');

// Longer than any session id that was ever seen, several times over.
const VALUE_LIMIT = 4096;

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

/**
 * The value of a cookie in a Cookie header, exactly as it was sent: not decoded,
 * not unquoted, its padding kept, because it is opaque and only ever compared.
 * White space around it is no part of it (RFC 6265 section 4.2.1). A cookie that
 * is empty counts as absent.
 *
 * @param name compared case-sensitively
 */
export function cookieValue(
  header: string,
  name: string,
): string | typeof AMBIGUOUS | typeof TOO_LONG | undefined {
  let value: string | undefined;
  let isTooLong = false;
  let found = header.indexOf(name);
  while (found !== -1) {
    const next = found + name.length;
    const equals = skipSpace(header, next);
    if (header.charCodeAt(equals) === EQUALS && beginsPair(header, found)) {
      let end = header.indexOf(';', equals);
      if (end === -1) end = header.length;
      const start = skipSpace(header, equals + 1);
      while (end > start && isSpace(header.charCodeAt(end - 1))) end--;
      if (end - start > VALUE_LIMIT) {
        isTooLong = true;
      } else if (end > start) {
        const given = header.slice(start, end);
        if (value !== undefined && value !== given) return AMBIGUOUS;
        value = given;
      }
      found = header.indexOf(name, Math.max(end, next));
    } else {
      found = header.indexOf(name, next);
    }
  }
  return value ?? (isTooLong ? TOO_LONG : undefined);
}

/** Only white space stands between the beginning, or a semicolon, and `at`. */
function beginsPair(header: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && isSpace(header.charCodeAt(before))) before--;
  return before < 0 || header.charCodeAt(before) === SEMICOLON;
}

function skipSpace(header: string, from: number): number {
  let at = from;
  while (isSpace(header.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
