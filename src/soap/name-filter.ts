import { foldName } from '../core/naming-rules.ts';
import type { BodyHeaders } from './body-search.ts';
import type { ElementMatch } from './element-rules.ts';

const LT = 0x3c;

/**
 * Rules out that an element of a body has one of these names, by a look whether the name stands anywhere in its bytes:
 * XML has no other way to write a name. Far cheaper than a search. In doubt, the name may be there.
 */
export class NameFilter {
  /** `undefined` if a name has other bytes in another encoding. */
  readonly #isIn: ((bytes: Buffer) => boolean) | undefined;

  constructor(names: readonly string[], match: ElementMatch) {
    if (names.some((name) => Buffer.byteLength(name) !== name.length)) return;
    this.#isIn = match === 'loose' ? loosely(names) : exactly(names);
  }

  /** @param bytes the whole body */
  mayHave(bytes: Buffer, { contentType, contentEncoding }: BodyHeaders): boolean {
    if (this.#isIn === undefined) return true;
    // Compressed, or with parts that may be encoded.
    if (contentEncoding !== undefined && contentEncoding !== '') return true;
    if (contentType !== undefined && /multipart/i.test(contentType)) return true;
    // In UTF-16, `<` has two bytes.
    if (bytes[0] !== LT || bytes[1] === 0) return true;
    return this.#isIn(bytes);
  }
}

function exactly(names: readonly string[]): (bytes: Buffer) => boolean {
  const wanted = names.map((name) => Buffer.from(name));
  return (bytes) => wanted.some((name) => bytes.includes(name));
}

function loosely(names: readonly string[]): (bytes: Buffer) => boolean {
  const spellings = names.map((name) =>
    [...foldName(name)].map((character) => character.replace(/\W/, '\\$&')).join('[_-]*'),
  );
  const pattern = new RegExp(spellings.join('|'), 'i');
  return (bytes) => pattern.test(bytes.toString('latin1'));
}
