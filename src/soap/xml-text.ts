// "&#x0010FFFF;" with a few more leading zeros. XML allows any number of zeros, but no honest client writes them.
const REFERENCE_LIMIT = 16;

const PREDEFINED: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** Does XML 1.0 allow this character in a document (section 2.2)? */
function isXmlCharacter(codePoint: number): boolean {
  if (codePoint < 0x20) return codePoint === 0x9 || codePoint === 0xa || codePoint === 0xd;
  if (codePoint <= 0xd7ff) return true;
  return (codePoint >= 0xe000 && codePoint <= 0xfffd) || (codePoint >= 0x10000 && codePoint <= 0x10ffff);
}

export function isXmlText(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const codePoint = text.codePointAt(at) as number;
    if (!isXmlCharacter(codePoint)) return false;
    if (codePoint > 0xffff) at++;
  }
  return true;
}

/**
 * Replaces the five predefined entities and numeric character references. A replacement is not expanded again. Returns
 * `undefined` for any other reference and for characters that XML does not allow.
 */
export function expandReferences(text: string): string | undefined {
  let ampersand = text.indexOf('&');
  if (ampersand === -1) return text;
  let expanded = '';
  let from = 0;
  while (ampersand !== -1) {
    const semicolon = text.indexOf(';', ampersand);
    if (semicolon === -1 || semicolon - ampersand > REFERENCE_LIMIT) return undefined;
    const character = referenced(text.slice(ampersand + 1, semicolon));
    if (character === undefined) return undefined;
    expanded += text.slice(from, ampersand) + character;
    from = semicolon + 1;
    ampersand = text.indexOf('&', from);
  }
  return expanded + text.slice(from);
}

function referenced(name: string): string | undefined {
  if (name[0] !== '#') return PREDEFINED.get(name);
  const hexadecimal = /^#x([0-9a-fA-F]+)$/.exec(name);
  const decimal = hexadecimal === null ? /^#([0-9]+)$/.exec(name) : null;
  const codePoint =
    hexadecimal === null
      ? Number.parseInt(decimal?.[1] ?? '', 10)
      : Number.parseInt(hexadecimal[1] ?? '', 16);
  return isXmlCharacter(codePoint) ? String.fromCodePoint(codePoint) : undefined;
}

/** Removes XML white space at both ends, which is only space, tab, CR and LF. */
export function trimXml(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isXmlSpace(text.charCodeAt(start))) start++;
  while (end > start && isXmlSpace(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

function isXmlSpace(code: number | undefined): boolean {
  return code === 0x20 || code === 0xa || code === 0xd || code === 0x9;
}

/** Escapes text for an element or a quoted attribute. Characters that XML does not allow become U+FFFD. */
export function escapeXml(text: string): string {
  let escaped = '';
  for (const character of text) {
    switch (character) {
      case '&':
        escaped += '&amp;';
        break;
      case '<':
        escaped += '&lt;';
        break;
      case '>':
        escaped += '&gt;';
        break;
      case '"':
        escaped += '&quot;';
        break;
      case "'":
        escaped += '&apos;';
        break;
      default:
        escaped += isXmlCharacter(character.codePointAt(0) as number) ? character : '\ufffd';
    }
  }
  return escaped;
}
