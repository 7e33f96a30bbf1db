/** The kinds of name under which a request's agent is known, in order of precedence. */
export type NameKind = 'user' | 'session' | 'address';

/** One name, already in canonical form: equal names are equal strings. */
export interface Name {
  readonly kind: NameKind;
  readonly value: string;
}

/** What the extractors found in one request. */
export interface Names {
  user: string | undefined;
  session: string | undefined;
  address: string | undefined;
}

const LETTER: Readonly<Record<NameKind, string>> = { user: 'u', session: 's', address: 'a' };
const KIND: ReadonlyMap<string, NameKind> = new Map(
  Object.entries(LETTER).map(([kind, letter]) => [letter, kind as NameKind]),
);

/** One string per name, unique over kinds: the key of caches and stores. */
export function nameKey(kind: NameKind, value: string): string {
  return LETTER[kind] + value;
}

/** The inverse of {@link nameKey}, or `undefined` for a string that is no key. */
export function parseNameKey(key: string): Name | undefined {
  const kind = KIND.get(key.charAt(0));
  return kind === undefined ? undefined : { kind, value: key.slice(1) };
}

/**
 * The names that are aliases of one binding, the one that decides first.
 *
 * The client address stands alone, and only where there is no other name: the
 * agents of one SAP application server share it, so as an alias it would tie
 * them all to whoever came last.
 */
export function aliasesOf(names: Names): Name[] {
  const aliases: Name[] = [];
  if (names.user !== undefined) aliases.push({ kind: 'user', value: names.user });
  if (names.session !== undefined) aliases.push({ kind: 'session', value: names.session });
  if (aliases.length === 0 && names.address !== undefined) {
    aliases.push({ kind: 'address', value: names.address });
  }
  return aliases;
}
