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

/** A name to be found among bytes. */
export interface CompiledName {
  readonly text: string;
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
  return { text, utf8, isAscii: utf8.length === text.length };
}
