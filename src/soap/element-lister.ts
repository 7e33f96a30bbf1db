import type { ByteEncoding } from './encoding.ts';
import { decodeBytes, openText } from './encoding.ts';
import type { ScanResult } from './scan-result.ts';
import { failed } from './scan-result.ts';
import {
  BANG,
  declarationAt,
  endOfCdata,
  endOfComment,
  endOfInstruction,
  endOfName,
  endOfTag,
  isBlank,
  nextMarkup,
  QUESTION,
  SLASH,
  startOfLocalName,
} from './xml-markup.ts';

const MOST_ELEMENTS = 40;
const MOST_LETTERS = 64;

/**
 * Lists the local names of the elements of a message that hold text, so that operators find the one that holds the
 * agent's name. Never a value: messages hold passwords and numbers of customers.
 */
export class ElementLister {
  /** Takes the place of {@link EnvelopeScanner} in a search. */
  scan(bytes: Uint8Array, charset: string | undefined, complete: boolean): ScanResult {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const text = openText(buffer, charset, complete);
    if (text === undefined) return failed('encoding');
    return { elements: elementsIn(text.bytes, text.encoding) };
  }
}

function elementsIn(bytes: Buffer, encoding: ByteEncoding): string[] {
  const names = new Set<string>();
  let at = nextMarkup(bytes, 0);
  while (at >= 0 && names.size < MOST_ELEMENTS) {
    const end = endOfMarkup(bytes, at);
    if (end < 0) break;
    const next = nextMarkup(bytes, end);
    if (next >= 0 && isStartTag(bytes, at) && bytes[end - 2] !== SLASH && holdsText(bytes, end, next)) {
      const nameEnd = endOfName(bytes, at + 1);
      const name = decodeBytes(bytes, startOfLocalName(bytes, at + 1, nameEnd), nameEnd, encoding);
      if (name !== undefined && name.length <= MOST_LETTERS) names.add(name);
    }
    at = next;
  }
  return [...names];
}

/** Only text, or a CDATA section, stands between the start tag and the next markup. */
function holdsText(bytes: Buffer, from: number, next: number): boolean {
  if (bytes[next + 1] === SLASH) return next > from && !isBlank(bytes, from, next);
  return bytes[next + 1] === BANG && declarationAt(bytes, next) === 'cdata';
}

function isStartTag(bytes: Buffer, at: number): boolean {
  return bytes[at + 1] !== SLASH && bytes[at + 1] !== QUESTION && bytes[at + 1] !== BANG;
}

/** The first byte after the markup that begins at `at`; negative if it is broken. */
function endOfMarkup(bytes: Buffer, at: number): number {
  switch (bytes[at + 1]) {
    case QUESTION:
      return endOfInstruction(bytes, at);
    case BANG: {
      const kind = declarationAt(bytes, at);
      if (kind === 'comment') return endOfComment(bytes, at);
      // Behind the start of the end of the section, which is no markup.
      return kind === 'cdata' ? endOfCdata(bytes, at) : -1;
    }
    case SLASH:
      return at + 2;
    default: {
      const nameEnd = endOfName(bytes, at + 1);
      const end = nameEnd < 0 ? nameEnd : endOfTag(bytes, nameEnd);
      return end < 0 ? end : end + 1;
    }
  }
}
