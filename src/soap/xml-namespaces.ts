import type { ByteEncoding } from './encoding.ts';
import { decodeBytes } from './encoding.ts';
import type { Attribute } from './xml-markup.ts';
import { COLON, hasBytes, nextAttribute, RAN_OUT, sameBytes } from './xml-markup.ts';
import { expandReferences } from './xml-text.ts';

// Several times more than toolkits write that declare everything at the root. It limits the cost of looking up a
// prefix.
const DECLARATION_LIMIT = 128;

const XMLNS = Buffer.from('xmlns');

interface Declaration {
  readonly depth: number;
  readonly prefixStart: number;
  readonly prefixEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** The decoded value, after the first use. */
  name: string | undefined;
}

/**
 * The namespace declarations in scope while a document is read (Namespaces in XML 1.0, section 6). Elements are entered
 * and left in order. Elements whose declarations are never looked up may be left out.
 */
export class NamespaceScope {
  readonly #bytes: Buffer;
  readonly #encoding: ByteEncoding;
  readonly #declarations: Declaration[] = [];

  constructor(bytes: Buffer, encoding: ByteEncoding) {
    this.#bytes = bytes;
    this.#encoding = encoding;
  }

  /** Reads the declarations among the attributes of an element at `depth`. Returns the problem if that fails. */
  enter(depth: number, from: number, to: number): 'malformed' | 'limit' | undefined {
    if (from === to) return undefined;
    const bytes = this.#bytes;
    const attribute: Attribute = { nameStart: 0, nameEnd: 0, valueStart: 0, valueEnd: 0 };
    let at = nextAttribute(bytes, from, to, attribute);
    for (; at >= 0; at = nextAttribute(bytes, at, to, attribute)) {
      const { nameStart, nameEnd, valueStart, valueEnd } = attribute;
      const behind = nameStart + XMLNS.length;
      // "xmlns", or "xmlns:" and a prefix.
      if (behind > nameEnd || !hasBytes(bytes, nameStart, XMLNS)) continue;
      if (behind < nameEnd && bytes[behind] !== COLON) continue;
      if (this.#declarations.length === DECLARATION_LIMIT) return 'limit';
      const prefixStart = Math.min(behind + 1, nameEnd);
      this.#declarations.push({
        depth,
        prefixStart,
        prefixEnd: nameEnd,
        valueStart,
        valueEnd,
        name: undefined,
      });
    }
    return at === RAN_OUT ? undefined : 'malformed';
  }

  /** Removes the declarations at `depth` or deeper. */
  leave(depth: number): void {
    const declarations = this.#declarations;
    while ((declarations[declarations.length - 1]?.depth ?? 0) >= depth) declarations.pop();
  }

  /**
   * The namespace of an element whose prefix is between `start` and `end`: `''` if it is in none, `undefined` if that
   * is unknown.
   */
  resolve(start: number, end: number): string | undefined {
    const length = end - start;
    for (let index = this.#declarations.length - 1; index >= 0; index--) {
      const declaration = this.#declarations[index] as Declaration;
      const { prefixStart, prefixEnd } = declaration;
      if (prefixEnd - prefixStart !== length || !sameBytes(this.#bytes, start, prefixStart, length)) continue;
      declaration.name ??= this.#nameOf(declaration);
      return declaration.name;
    }
    return length === 0 ? '' : undefined;
  }

  #nameOf({ valueStart, valueEnd }: Declaration): string | undefined {
    const raw = decodeBytes(this.#bytes, valueStart, valueEnd, this.#encoding);
    return raw === undefined ? undefined : expandReferences(raw);
  }
}
