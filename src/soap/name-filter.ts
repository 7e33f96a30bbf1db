import { foldName } from '../core/naming-rules.ts';
import type { BodyHeaders } from './body-search.ts';
import type { ElementMatch } from './element-rules.ts';

const LT = 0x3c;

// The usual beginning of an envelope, as far as the name of the operation. Body has the prefix of Envelope and does not
// change its meaning, so it is the Body. An envelope that is written in another way takes a look at all of its bytes.
const SPACE = String.raw`[ \t\r\n]`;
const NAME = String.raw`[A-Za-z_][\w-]*`;
const ATTRIBUTES = `(?:${SPACE}(?:[^<>"']|"[^<>"]*"|'[^<>']*')*)?`;
const USUAL = new RegExp(
  String.raw`^((?:<\?xml[^<>]*\?>)?${SPACE}*<((?:${NAME}:)?)Envelope${ATTRIBUTES}>` +
    String.raw`${SPACE}*<\2Body(?![^<>]*xmlns)${ATTRIBUTES}>${SPACE}*<)(?:${NAME}:)?(${NAME})(?:${SPACE}|[/>])`,
);
const NAME_AT_START = new RegExp(`^(?:${NAME}:)?(${NAME})(?:${SPACE}|[/>])`);
const USUAL_BYTES = 1_024;
const NAME_BYTES = 128;

/**
 * Rules out that a request has one of these operations. Far cheaper than a search: it looks at the usual place of the
 * operation, or else whether a name stands anywhere in the bytes, because XML has no other way to write one. In doubt,
 * the operation may be there.
 */
export class NameFilter {
  /** Anywhere in these bytes; `undefined` if a name has other bytes in another encoding. */
  readonly #isIn: ((bytes: Buffer) => boolean) | undefined;
  readonly #is: (operation: string) => boolean;
  /**
   * What the last envelope of the usual form had before the name of its operation. All those of one client have the same,
   * and to compare bytes is far cheaper than to read them.
   */
  #usual: Buffer | undefined;
  /** The beginning of the last envelope that was ruled out, with the name of its operation: most requests have the same. */
  #ruledOut: Buffer | undefined;
  /** The last media type of a body of one part. */
  #onePart: string | undefined;

  constructor(names: readonly string[], match: ElementMatch) {
    const spellings = match === 'loose' ? looseSpellings(names) : undefined;
    const one = spellings === undefined ? undefined : new RegExp(`^[_-]*(?:${spellings})[_-]*$`, 'i');
    this.#is = one === undefined ? (name) => names.includes(name) : (name) => one.test(name);
    if (names.some((name) => Buffer.byteLength(name) !== name.length)) return;
    this.#isIn = spellings === undefined ? exactly(names) : loosely(spellings);
  }

  /** @param bytes the whole body */
  mayHave(bytes: Buffer, { contentType, contentEncoding }: BodyHeaders): boolean {
    if (this.#isIn === undefined) return true;
    // Compressed, or with parts that may be encoded.
    if (contentEncoding !== undefined && contentEncoding !== '') return true;
    if (contentType !== this.#onePart) {
      if (contentType !== undefined && /multipart/i.test(contentType)) return true;
      this.#onePart = contentType;
    }
    // In UTF-16, `<` has two bytes.
    if (bytes[0] !== LT || bytes[1] === 0) return true;
    if (this.#ruledOut !== undefined && beginsWith(bytes, this.#ruledOut)) return false;
    const found = this.#operationIn(bytes);
    if (found === undefined) return this.#isIn(bytes);
    if (this.#is(found.operation)) return true;
    this.#ruledOut = Buffer.from(bytes.subarray(0, found.end));
    return false;
  }

  /** The local name of the operation in an envelope of the usual form, and where it ends; `undefined` in another form. */
  #operationIn(bytes: Buffer): { readonly operation: string; readonly end: number } | undefined {
    const usual = this.#usual;
    if (usual !== undefined && beginsWith(bytes, usual)) {
      const { length } = usual;
      const [all = '', operation] =
        NAME_AT_START.exec(bytes.toString('latin1', length, length + NAME_BYTES)) ?? [];
      if (operation !== undefined) return { operation, end: length + all.length };
    }
    const [all = '', before = '', , operation] = USUAL.exec(bytes.toString('latin1', 0, USUAL_BYTES)) ?? [];
    if (operation === undefined) return undefined;
    this.#usual = Buffer.from(bytes.subarray(0, before.length));
    return { operation, end: all.length };
  }
}

function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  const { length } = beginning;
  return bytes.length >= length && bytes.compare(beginning, 0, length, 0, length) === 0;
}

function exactly(names: readonly string[]): (bytes: Buffer) => boolean {
  const wanted = names.map((name) => Buffer.from(name));
  return (bytes) => wanted.some((name) => bytes.includes(name));
}

function loosely(spellings: string): (bytes: Buffer) => boolean {
  const pattern = new RegExp(spellings, 'i');
  return (bytes) => pattern.test(bytes.toString('latin1'));
}

function looseSpellings(names: readonly string[]): string {
  return names
    .map((name) => [...foldName(name)].map((character) => character.replace(/\W/, '\\$&')).join('[_-]*'))
    .join('|');
}
