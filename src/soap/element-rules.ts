import { foldName } from '../core/naming-rules.ts';
import type { ByteEncoding } from './encoding.ts';
import { decodeBytes } from './encoding.ts';
import { hasBytes } from './xml-markup.ts';

/** An element that holds a name of the agent. The order of rules in a list is their precedence. */
export interface ElementRule {
  readonly kind: 'user' | 'session';
  /** The local name, without a prefix and case-sensitive as in XML. */
  readonly local: string;
  /** The namespace of the element; `''` for none. If omitted, any namespace matches. */
  readonly namespace?: string | undefined;
  /** The local name of the operation, the child of Body, that must contain the element. */
  readonly operation?: string | undefined;
}

/** How element names are compared. `loose` ignores case, `_` and `-`. */
export type ElementMatch = 'exact' | 'loose';

/** A name, prepared for comparing it with bytes. */
export interface CompiledName {
  readonly text: string;
  /** The form for loose comparison. */
  readonly folded: string;
  readonly foldedBytes: Buffer;
  readonly utf8: Buffer;
  /** It has the same bytes in every ASCII-compatible encoding. */
  readonly isAscii: boolean;
}

export interface CompiledRule {
  readonly local: CompiledName;
  readonly namespace: string | undefined;
  readonly operation: CompiledName | undefined;
}

/** The rules of one kind, highest precedence first. */
export function compileRules(rules: readonly ElementRule[], kind: ElementRule['kind']): CompiledRule[] {
  return rules
    .filter((rule) => rule.kind === kind)
    .map(({ local, namespace, operation }) => ({
      local: compileName(local),
      namespace,
      operation: operation === undefined ? undefined : compileName(operation),
    }));
}

export function compileName(text: string): CompiledName {
  const utf8 = Buffer.from(text, 'utf8');
  const folded = foldName(text);
  const foldedBytes = Buffer.from(folded, 'utf8');
  return { text, folded, foldedBytes, utf8, isAscii: utf8.length === text.length };
}

const UNDERSCORE = 0x5f;
const HYPHEN = 0x2d;

/** Do these bytes equal the folded name, if case, `_` and `-` are ignored? The folded name is ASCII. */
function equalsFolded(bytes: Buffer, start: number, end: number, folded: Buffer): boolean {
  // Folding only shortens a name.
  if (end - start < folded.length) return false;
  let at = start;
  for (let index = 0; index < folded.length; index++) {
    let byte = bytes[at] as number;
    while (byte === UNDERSCORE || byte === HYPHEN) byte = bytes[++at] as number;
    if (at >= end) return false;
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    if (byte !== folded[index]) return false;
    at++;
  }
  while (at < end && (bytes[at] === UNDERSCORE || bytes[at] === HYPHEN)) at++;
  return at === end;
}

/** Do these bytes spell the name? */
export function isNamed(
  name: CompiledName,
  bytes: Buffer,
  start: number,
  end: number,
  encoding: ByteEncoding,
): boolean {
  if (!name.isAscii && encoding !== 'utf-8') return decodeBytes(bytes, start, end, encoding) === name.text;
  return end - start === name.utf8.length && hasBytes(bytes, start, name.utf8);
}

/** The same, if case, `_` and `-` are ignored. */
export function isLike(
  name: CompiledName,
  bytes: Buffer,
  start: number,
  end: number,
  encoding: ByteEncoding,
): boolean {
  if (name.isAscii) return equalsFolded(bytes, start, end, name.foldedBytes);
  const text = decodeBytes(bytes, start, end, encoding);
  return text !== undefined && foldName(text) === name.folded;
}

/** For each byte, 1 if one of the names can begin with it. This rules out most elements with one look. */
export function firstBytes(names: readonly CompiledName[]): Uint8Array {
  const firsts = new Uint8Array(256);
  firsts[UNDERSCORE] = 1;
  for (const { isAscii, folded, utf8 } of names) {
    if (!isAscii || folded === '') firsts.fill(1, isAscii ? 0 : 0x80);
    const first = isAscii ? (folded.charCodeAt(0) as number) : (utf8[0] as number);
    if (Number.isNaN(first)) continue;
    firsts[first] = 1;
    if (first >= 0x61 && first <= 0x7a) firsts[first & ~0x20] = 1;
  }
  return firsts;
}
