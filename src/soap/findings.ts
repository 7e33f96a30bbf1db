import type { ByteEncoding } from './encoding.ts';
import { decodeBytes } from './encoding.ts';
import type { ScanProblem } from './scan-result.ts';
import { expandReferences, isXmlText, trimXml } from './xml-text.ts';

/** Longest values that count, in UTF-16 code units. A longer one is no name of anybody. */
const USER_LIMIT = 256;
const SESSION_LIMIT = 4096;

// Comments, CDATA sections and the like may cut a value into pieces. No real client cuts a name into this many; without
// a limit a hostile body could.
const PIECE_LIMIT = 64;

/** Why a value is no name of the kind, or `undefined` where it may be one. */
export type JudgeValue = (kind: 'user' | 'session', value: string) => string | undefined;

/** What was found in a document so far, and the one element that may yet hold something better. */
export class Findings {
  user: string | undefined;
  session: string | undefined;
  /** Only rules before these can still better what was found. */
  userRank: number;
  sessionRank: number;
  /** Depth of the open element that a rule matched, 0 where there is none. */
  candidateDepth = 0;

  /** Why values were refused, if any were. */
  refused: string[] | undefined;
  /** Depth of the open list of sessions, 0 where there is none. */
  listDepth = 0;

  readonly #bytes: Buffer;
  readonly #encoding: ByteEncoding;
  readonly #check: JudgeValue | undefined;
  #listRank = 0;
  #listItems = 0;
  /** Of the list's first item. */
  #listValue: string | undefined;
  /** The rules that matched it, -1 for none of the kind. */
  #userRule = -1;
  #sessionRule = -1;
  /** Its text so far: start, end, and 1 for CDATA, of each piece. */
  readonly #pieces: number[] = [];
  #pieceCount = 0;

  constructor(
    bytes: Buffer,
    encoding: ByteEncoding,
    userRules: number,
    sessionRules: number,
    check?: JudgeValue,
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

  /** Nothing better can be found any more. */
  get areBest(): boolean {
    return this.userRank === 0 && this.sessionRank === 0;
  }

  openCandidate(depth: number, userRule: number, sessionRule: number): void {
    this.candidateDepth = depth;
    this.#userRule = userRule;
    this.#sessionRule = sessionRule;
    this.#pieceCount = 0;
  }

  /** @param rank of the rule that it matched */
  openList(depth: number, rank: number): void {
    this.listDepth = depth;
    this.#listRank = rank;
    this.#listItems = 0;
    this.#listValue = undefined;
  }

  /** An element of the list; only the first one's text is of interest, and only if it is the last. */
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

  /** Adds a stretch of the candidate's text. */
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

  /** The candidate has ended and holds text alone: takes its value, or tells why it cannot be read. */
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
