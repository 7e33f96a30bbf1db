import type { CompiledName, CompiledRule, ElementRule } from './element-rules.ts';
import { compileName, isLike, isNamed } from './element-rules.ts';
import type { ByteEncoding } from './encoding.ts';
import { decodeBytes, openText } from './encoding.ts';
import { Findings } from './findings.ts';
import type { SoapVersion } from './media-type.ts';
import { OTHERS, References } from './references.ts';
import type { Plan, ScanOptions, Section } from './scan-plan.ts';
import { compilePlan } from './scan-plan.ts';
import type { ScanProblem, ScanResult } from './scan-result.ts';
import { failed } from './scan-result.ts';
import { soapVersionOfNamespace } from './writer.ts';
import {
  BANG,
  BROKEN,
  CDATA_END_LENGTH,
  CDATA_START_LENGTH,
  declarationAt,
  endOfCdata,
  endOfComment,
  endOfEndTag,
  endOfInstruction,
  endOfName,
  endOfSpace,
  endOfTag,
  isBlank,
  isSpaceByte,
  LT,
  nextMarkup,
  QUESTION,
  RAN_OUT,
  SLASH,
  sameBytes,
  startOfLocalName,
} from './xml-markup.ts';
import { NamespaceScope } from './xml-namespaces.ts';

const ENVELOPE = compileName('Envelope');
const HEADER = compileName('Header');
const BODY = compileName('Body');

const OPERATION_DEPTH = 3;
const PARAMETER_DEPTH = 4;

/**
 * Finds the names of the agent in a SOAP envelope, and the operation.
 *
 * It makes one pass over the bytes and builds no tree. Its time grows with what it reads, its memory with `maxDepth`.
 * It stops at the end of the Body, or earlier if no rule of higher precedence is left.
 *
 * It validates only what it needs to know its position: attributes are quoted, tags balance, and down to `maxDepth`
 * their names match. The instance validates the rest: deeper elements, attributes, and all behind the end of the
 * search.
 */
export class EnvelopeScanner {
  readonly #plan: Plan;

  constructor(rules: readonly ElementRule[], options: ScanOptions) {
    this.#plan = compilePlan(rules, options);
  }

  /**
   * @param charset the charset of the Content-Type, if there is one
   * @param complete false if the bytes are only the beginning of the body
   */
  scan(bytes: Uint8Array, charset: string | undefined, complete: boolean): ScanResult {
    const buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // Too few bytes to detect the encoding.
    if (!complete && buffer.length < 4) return failed('truncated');
    const text = openText(buffer, charset, complete);
    if (text === undefined) return failed('encoding');
    return new Scan(this.#plan, text.bytes, text.encoding, complete).run();
  }
}

/** The state of one scan of one document. */
class Scan {
  readonly #plan: Plan;
  readonly #bytes: Buffer;
  readonly #encoding: ByteEncoding;
  readonly #complete: boolean;
  readonly #scope: NamespaceScope;

  /** Number of open elements. */
  #depth = 0;
  /** Start and end of the open elements' names, by depth, down to `maxDepth`. */
  readonly #nameStarts: number[] = [0];
  readonly #nameEnds: number[] = [0];
  /** Where the tag of the element ends that is being placed. */
  #tagEnd = 0;
  #section: Section = 'none';
  /** Start and end of the open operation's local name. */
  #operationStart = 0;
  #operationEnd = 0;

  /** The namespace of the Envelope: `''` for none, `undefined` if it is not declared. */
  #namespace: string | undefined;
  #version: SoapVersion | undefined;
  #operation: string | undefined;
  readonly #findings: Findings;
  readonly #references: References;

  /** Depth of the open element that holds names of other people, 0 if there is none. */
  #othersDepth = 0;
  #isOver = false;
  #isDeeper: true | undefined;
  #problem: ScanProblem | undefined;

  constructor(plan: Plan, bytes: Buffer, encoding: ByteEncoding, complete: boolean) {
    this.#plan = plan;
    this.#bytes = bytes;
    this.#encoding = encoding;
    this.#complete = complete;
    this.#scope = new NamespaceScope(bytes, encoding);
    const sessionRules = plan.session.length + plan.lists.length;
    this.#references = new References(bytes);
    this.#findings = new Findings(bytes, encoding, plan.user.length, sessionRules, plan.check);
  }

  run(): ScanResult {
    let at = this.#enterProlog();
    while (at >= 0) {
      at = this.#passMarkup(at);
      if (at < 0 || this.#isOver) break;
      const from = at;
      at = nextMarkup(this.#bytes, from);
      if (this.#findings.candidateDepth !== 0 && at > from) this.#findings.addPiece(from, at, 0);
      if (this.#depth === 0 && at > from && !isBlank(this.#bytes, from, at)) this.#problem = 'not-soap';
      if (this.#problem !== undefined) break;
    }
    if (at === BROKEN) this.#problem ??= 'malformed';
    if (at === RAN_OUT) this.#problem ??= this.#complete ? 'malformed' : 'truncated';
    if (this.#problem !== undefined && this.#problem !== 'truncated') return failed(this.#problem);
    const { user, session, refused, userRank, sessionRank } = this.#findings;
    return {
      user,
      session,
      refused,
      userRank: this.#plan.wantsRanks ? userRank : undefined,
      sessionRank: this.#plan.wantsRanks ? sessionRank : undefined,
      operation: this.#operation,
      version: this.#version,
      problem: this.#problem,
      isDeeper: this.#isDeeper,
    };
  }

  #enterProlog(): number {
    const bytes = this.#bytes;
    let at = 0;
    while (at < bytes.length && isSpaceByte(bytes[at])) at++;
    if (at < bytes.length ? bytes[at] !== LT : this.#complete) this.#problem = 'not-soap';
    if (this.#problem !== undefined) return BROKEN;
    return at < bytes.length ? at : RAN_OUT;
  }

  /** Reads the markup that begins at `at` and returns its end. */
  #passMarkup(at: number): number {
    const bytes = this.#bytes;
    switch (bytes[at + 1]) {
      case undefined:
        return RAN_OUT;
      case SLASH:
        return this.#passEndTag(at);
      case QUESTION:
        return endOfInstruction(bytes, at);
      case BANG:
        return this.#passDeclaration(at);
      default:
        return this.#passStartTag(at);
    }
  }

  #passDeclaration(at: number): number {
    const bytes = this.#bytes;
    switch (declarationAt(bytes, at)) {
      case 'comment':
        return endOfComment(bytes, at);
      case 'cdata': {
        if (this.#depth === 0) return BROKEN;
        const start = at + CDATA_START_LENGTH;
        const end = endOfCdata(bytes, start);
        if (end < 0) return end;
        if (this.#findings.candidateDepth !== 0) this.#findings.addPiece(start, end, 1);
        return end + CDATA_END_LENGTH;
      }
      case 'doctype':
        this.#problem = 'doctype';
        return BROKEN;
      case 'ran-out':
        return RAN_OUT;
      case 'broken':
        return BROKEN;
    }
  }

  #passStartTag(at: number): number {
    const bytes = this.#bytes;
    const nameStart = at + 1;
    const nameEnd = endOfName(bytes, nameStart);
    if (nameEnd < 0) return nameEnd;
    const tagEnd = endOfTag(bytes, nameEnd);
    if (tagEnd < 0) return tagEnd;

    // An element with a child element holds no value.
    this.#findings.candidateDepth = 0;
    const depth = ++this.#depth;
    if (depth <= this.#plan.maxDepth || depth === 1) {
      this.#nameStarts[depth] = nameStart;
      this.#nameEnds[depth] = nameEnd;
      this.#tagEnd = tagEnd;
      if (depth <= 2 || this.#plan.usesNamespaces) {
        this.#problem = this.#scope.enter(depth, nameEnd, tagEnd);
        if (this.#problem !== undefined) return BROKEN;
      }
      const localStart = startOfLocalName(bytes, nameStart, nameEnd);
      if (!this.#place(depth, nameStart, localStart, nameEnd)) return BROKEN;
    } else this.#isDeeper = true;
    if (bytes[tagEnd - 1] === SLASH) this.#leave();
    return tagEnd + 1;
  }

  /** Handles an element by its position. Returns false if it is not allowed there. */
  #place(depth: number, nameStart: number, localStart: number, nameEnd: number): boolean {
    if (depth === 1) {
      if (!isNamed(ENVELOPE, this.#bytes, localStart, nameEnd, this.#encoding)) {
        this.#problem = 'not-soap';
        return false;
      }
      this.#namespace = this.#namespaceOf(nameStart, localStart);
      this.#version = soapVersionOfNamespace(this.#namespace);
      this.#isOver = this.#hasAll();
    } else if (depth === 2) {
      this.#section = this.#sectionOf(nameStart, localStart, nameEnd);
    } else if (this.#section !== 'none') {
      if (depth === OPERATION_DEPTH) {
        this.#operationStart = localStart;
        this.#operationEnd = nameEnd;
        if (this.#plan.wantsOperation && this.#section === 'body') this.#takeOperation();
        if (this.#isReferred(nameEnd)) return true;
      }
      this.#match(depth, nameStart, localStart, nameEnd);
    }
    return true;
  }

  /** Header and Body have the namespace of their Envelope. An element of another namespace only has the same name. */
  #sectionOf(nameStart: number, localStart: number, nameEnd: number): Section {
    const isBody = isNamed(BODY, this.#bytes, localStart, nameEnd, this.#encoding);
    if (!isBody && !isNamed(HEADER, this.#bytes, localStart, nameEnd, this.#encoding)) return 'none';
    if (this.#namespaceOf(nameStart, localStart) !== this.#namespace) return 'none';
    return isBody ? 'body' : 'header';
  }

  #namespaceOf(nameStart: number, localStart: number): string | undefined {
    return this.#scope.resolve(nameStart, Math.max(nameStart, localStart - 1));
  }

  /**
   * Takes a child of Body for the elements that refer to it. Returns true if it holds the value of one of them. Else its
   * children count as those of the operation that refers to it.
   */
  #isReferred(nameEnd: number): boolean {
    const { userRank, sessionRank } = this.#findings;
    const reference = this.#references.to(nameEnd, this.#tagEnd, userRank, sessionRank);
    if (reference === undefined) return false;
    this.#operationStart = reference.operationStart;
    this.#operationEnd = reference.operationEnd;
    if (reference.userRule === OTHERS) this.#othersDepth = OPERATION_DEPTH;
    if (reference.userRule < 0 && reference.sessionRule < 0) return false;
    this.#findings.openCandidate(OPERATION_DEPTH, reference.userRule, reference.sessionRule);
    return true;
  }

  #takeOperation(): void {
    this.#operation ??= decodeBytes(this.#bytes, this.#operationStart, this.#operationEnd, this.#encoding);
    if (this.#hasAll()) this.#isOver = true;
  }

  /** Everything that the scan looks for has been found. */
  #hasAll(): boolean {
    return this.#findings.areBest && (!this.#plan.wantsOperation || this.#operation !== undefined);
  }

  #match(depth: number, nameStart: number, localStart: number, nameEnd: number): void {
    if (this.#othersDepth !== 0) return;
    if (this.#findings.listDepth !== 0) {
      if (depth === this.#findings.listDepth + 1) this.#findings.openItem(depth);
      return;
    }
    const { user, session, firsts, usesOperations } = this.#plan;
    if (usesOperations && depth === PARAMETER_DEPTH) this.#note(nameEnd, -1, -1);
    if (firsts[this.#bytes[localStart] as number] === 0) return;
    const { userRank, sessionRank } = this.#findings;
    const userRule = this.#firstMatch(user, userRank, depth, nameStart, localStart, nameEnd);
    const sessionRule = this.#firstMatch(session, sessionRank, depth, nameStart, localStart, nameEnd);
    if (userRule !== -1 || sessionRule !== -1) {
      this.#findings.openCandidate(depth, userRule, sessionRule);
      this.#note(nameEnd, userRule, sessionRule);
    } else if (depth > OPERATION_DEPTH) {
      this.#matchOthers(depth, localStart, nameEnd);
    }
  }

  /** Notes the element if its content stands elsewhere in the Body. */
  #note(nameEnd: number, userRule: number, sessionRule: number): void {
    if (nameEnd === this.#tagEnd || this.#section !== 'body') return;
    const [start, end] = [this.#operationStart, this.#operationEnd];
    this.#references.note(nameEnd, this.#tagEnd, start, end, userRule, sessionRule);
  }

  #matchOthers(depth: number, localStart: number, nameEnd: number): void {
    const { session, lists, others } = this.#plan;
    for (const name of others) {
      if (!this.#isLike(name, localStart, nameEnd)) continue;
      this.#othersDepth = depth;
      this.#note(nameEnd, OTHERS, -1);
      return;
    }
    for (let index = 0; index < lists.length; index++) {
      if (!this.#isLike(lists[index] as CompiledName, localStart, nameEnd)) continue;
      const rank = session.length + index;
      if (rank < this.#findings.sessionRank) this.#findings.openList(depth, rank);
      else this.#othersDepth = depth;
      return;
    }
  }

  #firstMatch(
    rules: readonly CompiledRule[],
    rank: number,
    depth: number,
    nameStart: number,
    localStart: number,
    nameEnd: number,
  ): number {
    for (let index = 0; index < rank && index < rules.length; index++) {
      const rule = rules[index] as CompiledRule;
      if (!this.#isLike(rule.local, localStart, nameEnd)) continue;
      if (rule.operation !== undefined) {
        if (depth === OPERATION_DEPTH || this.#section !== 'body') continue;
        if (!this.#isLike(rule.operation, this.#operationStart, this.#operationEnd)) continue;
      }
      if (rule.namespace !== undefined) {
        if (this.#namespaceOf(nameStart, localStart) !== rule.namespace) continue;
      }
      return index;
    }
    return -1;
  }

  #passEndTag(at: number): number {
    const bytes = this.#bytes;
    const depth = this.#depth;
    if (depth === 0) return BROKEN;
    const start = at + 2;
    let tagEnd: number;
    if (depth <= this.#plan.maxDepth || depth === 1) {
      const open = this.#nameStarts[depth] as number;
      const length = (this.#nameEnds[depth] as number) - open;
      if (!sameBytes(bytes, start, open, length)) return start + length > bytes.length ? RAN_OUT : BROKEN;
      tagEnd = endOfSpace(bytes, start + length);
    } else {
      tagEnd = endOfEndTag(bytes, start);
    }
    if (tagEnd < 0) return tagEnd;
    this.#leave();
    return this.#problem === undefined ? tagEnd + 1 : BROKEN;
  }

  /** Closes the innermost open element. */
  #leave(): void {
    const depth = this.#depth--;
    if (depth === this.#othersDepth) this.#othersDepth = 0;
    if (depth === this.#findings.listDepth) {
      this.#findings.closeList();
      if (this.#hasAll()) this.#isOver = true;
    }
    if (this.#findings.candidateDepth === depth) {
      this.#problem = this.#findings.closeCandidate();
      if (this.#hasAll()) this.#isOver = true;
    }
    if (depth > this.#plan.maxDepth && depth > 2) return;
    if (depth === 2 || this.#plan.usesNamespaces) this.#scope.leave(depth);
    if (depth === 2) {
      if (this.#section === 'body') this.#isOver = true;
      this.#section = 'none';
    } else if (depth === 1) {
      this.#isOver = true;
    }
  }

  #isLike(name: CompiledName, start: number, end: number): boolean {
    if (this.#plan.isLoose) return isLike(name, this.#bytes, start, end, this.#encoding);
    return isNamed(name, this.#bytes, start, end, this.#encoding);
  }
}
