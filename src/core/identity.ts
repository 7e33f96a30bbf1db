import type { Evidence, Named } from './evidence.ts';

/** The kinds of name under which a request's agent is known, in order of precedence. */
export type NameKind = 'user' | 'session' | 'address';

/** One name, already in canonical form: equal names are equal strings. */
export interface Name {
  readonly kind: NameKind;
  readonly value: string;
}

/** A name as a request bears it. */
export interface RequestName extends Name {
  /** It stands in the body and nowhere else, so it may be another agent's. */
  readonly found?: boolean;
}

/** What the extractors found in one request. */
export interface Names {
  user: string | undefined;
  session: string | undefined;
  address: string | undefined;
  /** The user stands in the body alone. */
  userIsFound: boolean;
  sessionIsFound: boolean;
}

const LETTER: Readonly<Record<NameKind, string>> = { user: 'u', session: 's', address: 'a' };
const KIND: ReadonlyMap<string, NameKind> = new Map(
  Object.entries(LETTER).map(([kind, letter]) => [letter, kind as NameKind]),
);

/** The same names, the one first that decides wherever it is known: a user who was only found comes after the session. */
export function byWeight(names: readonly RequestName[]): readonly RequestName[] {
  const [first, second] = names;
  return second !== undefined && first?.found === true ? [second, first] : names;
}

/** One string per name, unique over kinds: the key of caches and stores. */
export function nameKey(kind: NameKind, value: string): string {
  return LETTER[kind] + value;
}

/** The inverse of {@link nameKey}, or `undefined` for a string that is no key. */
export function parseNameKey(key: string): Name | undefined {
  const kind = KIND.get(key.charAt(0));
  return kind === undefined ? undefined : { kind, value: key.slice(1) };
}

/** How each kind of name is borne; an address counts as a user without a session. */
export function namedBy(names: readonly RequestName[]): Named {
  let user: Evidence | undefined;
  let session: Evidence | undefined;
  for (const { kind, found } of names) {
    const evidence = found === true ? 'found' : 'asserted';
    if (kind === 'session') session = evidence;
    else user = evidence;
  }
  return { user, session };
}

/**
 * The names of a request, the user first. What each is worth is ruled where bindings are kept.
 *
 * The client address stands alone, and only where there is no other name: the
 * agents of one SAP application server share it, so as an alias it would tie
 * them all to whoever came last.
 */
export function aliasesOf(names: Names): RequestName[] {
  const all: RequestName[] = [];
  if (names.user !== undefined) all.push({ kind: 'user', value: names.user, found: names.userIsFound });
  if (names.session !== undefined) {
    all.push({ kind: 'session', value: names.session, found: names.sessionIsFound });
  }
  if (all.length === 0 && names.address !== undefined) all.push({ kind: 'address', value: names.address });
  return all;
}
