/** An element that holds a name of the agent. Where in a list a rule stands is its precedence. */
export interface ElementRule {
  readonly kind: 'user' | 'session';
  /** Local name: whatever the prefix, and case-sensitive as XML is. */
  readonly local: string;
  /** Namespace of the element; `''` for none. Left out, any will do. */
  readonly namespace?: string | undefined;
  /** Local name of the operation, the child of Body, that the element stands in. */
  readonly operation?: string | undefined;
}

/** How names of elements are compared: as they are, or without regard to case, `_` and `-`. */
export type ElementMatch = 'exact' | 'loose';

/** A name to be found among bytes. */
export interface CompiledName {
  readonly text: string;
  /** What is left of it where it is compared loosely. */
  readonly folded: string;
  readonly foldedBytes: Buffer;
  readonly utf8: Buffer;
  /** The same bytes in every ASCII-compatible encoding. */
  readonly isAscii: boolean;
}

export interface CompiledRule {
  readonly local: CompiledName;
  readonly namespace: string | undefined;
  readonly operation: CompiledName | undefined;
}

/** The rules of one kind, the one with the highest precedence first. */
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

/** The form in which names are compared loosely. */
export function foldName(text: string): string {
  return text.replace(/[_-]/g, '').toLowerCase();
}

const UNDERSCORE = 0x5f;
const HYPHEN = 0x2d;

/** Are these bytes the folded name, which is in ASCII, give or take case, `_` and `-`? */
export function equalsFolded(bytes: Buffer, start: number, end: number, folded: Buffer): boolean {
  // Shorter it cannot be.
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

/** For each byte whether one of the names may begin with it: most elements are none of them. */
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
