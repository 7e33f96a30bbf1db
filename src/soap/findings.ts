import type { ByteEncoding } from './encoding.ts';
import { decodeBytes } from './encoding.ts';
import type { ScanProblem } from './scan-result.ts';
import { expandReferences, isXmlText, trimXml } from './xml-text.ts';

/** The longest values that count as names, in UTF-16 code units. */
const USER_LIMIT = 256;
const SESSION_LIMIT = 4096;

// Comments and CDATA sections cut a value into pieces. Only a hostile body cuts a name into more than this.
const PIECE_LIMIT = 64;

/** Returns why a value cannot be a name of the kind, or `undefined` if it can. */
export type CheckValue = (kind: 'user' | 'session', value: string) => string | undefined;

/** What a scan has found so far, and the open element that may hold something better. */
export class Findings {
  user: string | undefined;
  session: string | undefined;
  /** Only rules with a lower index can improve on what was found. */
  userRank: number;
  sessionRank: number;
  /** Depth of the open element that a rule matched (the candidate), 0 if there is none. */
  candidateDepth = 0;

  /** Why values were refused, if any were. */
  refused: string[] | undefined;
  /** Depth of the open list of sessions, 0 if there is none. */
  listDepth = 0;

  readonly #bytes: Buffer;
  readonly #encoding: ByteEncoding;
  readonly #check: CheckValue | undefined;
  #listRank = 0;
  #listItems = 0;
  /** The value of the list's first item. */
  #listValue: string | undefined;
  /** The rules that matched the candidate, -1 if none of the kind did. */
  #userRule = -1;
  #sessionRule = -1;
  /** The candidate's text so far: start, end, and 1 for CDATA, of each piece. */
  readonly #pieces: number[] = [];
  #pieceCount = 0;

  constructor(
    bytes: Buffer,
    encoding: ByteEncoding,
    userRules: number,
    sessionRules: number,
    check?: CheckValue,
  ) {
    this.#check = check;
    this.refused = undefined;
    this.user = undefined;
    this.session = undefined;
    this.userRank = userRules;
    this.sessionRank = sessionRules;
    this.#bytes = bytes;
    this.#encoding = encoding;
  }

  /** No rule can improve on what was found. */
  get areBest(): boolean {
    return this.userRank === 0 && this.sessionRank === 0;
  }

  openCandidate(depth: number, userRule: number, sessionRule: number): void {
    this.candidateDepth = depth;
    this.#userRule = userRule;
    this.#sessionRule = sessionRule;
    this.#pieceCount = 0;
  }

  /** @param rank the rank of the list among the session rules */
  openList(depth: number, rank: number): void {
    this.listDepth = depth;
    this.#listRank = rank;
    this.#listItems = 0;
    this.#listValue = undefined;
  }

  /** Starts an item of the list. A list counts only if it has one item, so only the first item's text is read. */
  openItem(depth: number): void {
    this.#listItems += 1;
    if (this.#listItems === 1) this.openCandidate(depth, -1, this.#listRank);
  }

  closeList(): void {
    this.listDepth = 0;
    if (this.#listItems !== 1 || this.#listValue === undefined) return;
    this.session = this.#listValue;
    this.sessionRank = this.#listRank;
  }

  /** Adds a piece of the candidate's text. */
  addPiece(start: number, end: number, isCdata: 0 | 1): void {
    if (this.#pieceCount === PIECE_LIMIT) {
      this.candidateDepth = 0;
      return;
    }
    const at = 3 * this.#pieceCount++;
    this.#pieces[at] = start;
    this.#pieces[at + 1] = end;
    this.#pieces[at + 2] = isCdata;
  }

  /** Takes the value of the candidate, which has ended and holds only text. Returns why it cannot be read, if so. */
  closeCandidate(): ScanProblem | undefined {
    this.candidateDepth = 0;
    const pieces = this.#pieces;
    let value = '';
    for (let index = 0; index < 3 * this.#pieceCount; index += 3) {
      const start = pieces[index] as number;
      const end = pieces[index + 1] as number;
      const raw = decodeBytes(this.#bytes, start, end, this.#encoding);
      if (raw === undefined) return 'encoding';
      const text = pieces[index + 2] === 1 ? raw : expandReferences(raw);
      if (text === undefined) return 'malformed';
      value += text;
    }
    value = trimXml(value);
    if (value === '') return undefined;
    if (value.length > SESSION_LIMIT) {
      this.#refuse('length');
      return undefined;
    }
    if (!isXmlText(value)) return 'malformed';
    if (this.#userRule !== -1 && this.#isName('user', value, USER_LIMIT)) {
      this.user = value;
      this.userRank = this.#userRule;
    }
    if (this.#sessionRule !== -1 && this.#isName('session', value, SESSION_LIMIT)) {
      if (this.listDepth !== 0) {
        this.#listValue = value;
      } else {
        this.session = value;
        this.sessionRank = this.#sessionRule;
      }
    }
    return undefined;
  }

  #isName(kind: 'user' | 'session', value: string, limit: number): boolean {
    const reason = value.length > limit ? 'length' : this.#check?.(kind, value);
    if (reason !== undefined) this.#refuse(reason);
    return reason === undefined;
  }

  #refuse(reason: string): void {
    this.refused ??= [];
    this.refused.push(reason);
  }
}
