import type { Attribute } from './xml-markup.ts';
import { nextAttribute, sameBytes } from './xml-markup.ts';

const HASH = 0x23;
// A request refers to a few parameters. It limits the cost of finding one.
const REFERENCE_LIMIT = 16;

/** In the place of a rule: the content names other people. */
export const OTHERS = -2;

/** An element whose content stands elsewhere. */
export interface Reference {
  /** Where its operation is named. */
  readonly operationStart: number;
  readonly operationEnd: number;
  /** The rules that matched the element, -1 if none of the kind did; {@link OTHERS} for one that names other people. */
  readonly userRule: number;
  readonly sessionRule: number;
}

interface Noted extends Reference {
  readonly idStart: number;
  readonly idEnd: number;
}

/**
 * The elements that a SOAP stack with RPC encoding sends empty: `href="#id0"` leads to the child of Body that has
 * `id="id0"` (SOAP 1.1 section 5.4.1), which toolkits call `multiRef` and write behind the operation. Only such forward
 * references are followed, and only once.
 */
export class References {
  readonly #bytes: Buffer;
  readonly #noted: Noted[] = [];
  readonly #attribute: Attribute = { nameStart: 0, nameEnd: 0, valueStart: 0, valueEnd: 0 };

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Notes the element if it refers to another one. Its attributes are between `from` and `to`. */
  note(
    from: number,
    to: number,
    operationStart: number,
    operationEnd: number,
    userRule: number,
    sessionRule: number,
  ): void {
    if (this.#noted.length === REFERENCE_LIMIT || !this.#find('href', from, to)) return;
    const { valueStart: idStart, valueEnd: idEnd } = this.#attribute;
    if (this.#bytes[idStart] !== HASH || idStart + 1 === idEnd) return;
    this.#noted.push({ idStart: idStart + 1, idEnd, operationStart, operationEnd, userRule, sessionRule });
  }

  /**
   * The best of the references to the element whose attributes are between `from` and `to`; `undefined` if there is none.
   * Only rules below the ranks count.
   */
  to(from: number, to: number, userRank: number, sessionRank: number): Reference | undefined {
    if (this.#noted.length === 0 || !this.#find('id', from, to)) return undefined;
    const { valueStart, valueEnd } = this.#attribute;
    const length = valueEnd - valueStart;
    let best: Reference | undefined;
    for (const one of this.#noted) {
      if (one.idEnd - one.idStart !== length || !sameBytes(this.#bytes, valueStart, one.idStart, length))
        continue;
      best = {
        operationStart: one.operationStart,
        operationEnd: one.operationEnd,
        userRule: better(best?.userRule ?? -1, one.userRule, userRank),
        sessionRule: better(best?.sessionRule ?? -1, one.sessionRule, sessionRank),
      };
    }
    return best;
  }

  #find(name: string, from: number, to: number): boolean {
    if (from === to) return false;
    const attribute = this.#attribute;
    let at = nextAttribute(this.#bytes, from, to, attribute);
    for (; at >= 0; at = nextAttribute(this.#bytes, at, to, attribute)) {
      const { nameStart, nameEnd } = attribute;
      if (nameEnd - nameStart !== name.length) continue;
      if (this.#bytes.toString('latin1', nameStart, nameEnd) === name) return true;
    }
    return false;
  }
}

function better(best: number, rule: number, rank: number): number {
  if (rule === OTHERS || best === OTHERS) return OTHERS;
  return rule !== -1 && rule < rank && (best === -1 || rule < best) ? rule : best;
}
