const MOST_ROUNDS = 4;
const ESCAPE = /%u([0-9a-f]{4})|%([0-9a-f]{2})/gi;
// A lead byte of UTF-8 and what follows it, as latin1 characters. Also the five and six bytes of the first UTF-8, and
// any byte after a lead byte that is never valid: lenient decoders look at six bits only.
const UTF8 =
  /[\xc0\xc1][\0-\xff]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf7][\x80-\xbf]{3}|[\xf8-\xfb][\x80-\xbf]{4}|[\xfc-\xfd][\x80-\xbf]{5}/g;
// What Windows takes for a slash or backslash, and NFKC does not.
const SLASHES = /[\u2044\u2215\u2216\u00a5\u20a9]/g;
const MOST_CODE = 0x10ffff;

/**
 * Could a server read a "." or ".." segment in this path? It would then leave the prefix by which its pool was found.
 *
 * Decodes more than any single server does: repeated percent-encoding, `%uXXXX` of IIS, UTF-8 in too many bytes, wide
 * and look-alike characters that Windows folds to dots and slashes, path parameters, and blanks around a segment.
 * A path that does not decode to its end in a few rounds counts as hidden.
 */
export function hasHiddenDotSegment(pathname: string): boolean {
  let path = pathname;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const decoded = path.replace(ESCAPE, character).replace(UTF8, sequence).normalize('NFKC');
    if (decoded === path) return hasDotSegment(path.replace(SLASHES, '/'));
    path = decoded;
  }
  return true;
}

function character(_escape: string, wide: string | undefined, byte: string): string {
  return String.fromCharCode(Number.parseInt(wide ?? byte, 16));
}

function sequence(bytes: string): string {
  const lead = bytes.charCodeAt(0);
  // The bits of the lead byte after its ones and a zero.
  let code = bytes.length === 2 ? lead & 0x1f : lead & (0x7f >> bytes.length);
  for (let i = 1; i < bytes.length; i += 1) code = (code << 6) | (bytes.charCodeAt(i) & 0x3f);
  return code > MOST_CODE || code < 0 ? bytes : String.fromCodePoint(code);
}

function hasDotSegment(path: string): boolean {
  return path.split(/[/\\]/).some((segment) => {
    const [name = ''] = segment.split(/[;?#\0]/);
    return /^\.{1,2}$/.test(name.replace(/[\p{Cc}\p{Z}]+/gu, ''));
  });
}
