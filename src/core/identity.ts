import type { Evidence, Named } from './evidence.ts';

/** The kinds of names that identify a request's agent. Which of them decides is up to `core/evidence.ts`. */
export type NameKind = 'user' | 'session' | 'address';

/** One name, already in canonical form: equal names are equal strings. */
export interface Name {
  readonly kind: NameKind;
  readonly value: string;
}

/** A name as it appears in a request. */
export interface RequestName extends Name {
  /** It appears only in the body, so it may be another agent's. */
  readonly found?: boolean;
}

/** The names that the extractors found in one request. */
export interface Names {
  user: string | undefined;
  session: string | undefined;
  address: string | undefined;
  /** The user appears only in the body. */
  userIsFound: boolean;
  sessionIsFound: boolean;
}

const LETTER: Readonly<Record<NameKind, string>> = { user: 'u', session: 's', address: 'a' };
const KIND: ReadonlyMap<string, NameKind> = new Map(
  Object.entries(LETTER).map(([kind, letter]) => [letter, kind as NameKind]),
);

/**
 * The same names, the best guess first: a user who was only found comes after the session. For look-ups only; in a
 * claim
 * `ruling` in `core/evidence.ts` decides.
 */
export function byWeight(names: readonly RequestName[]): readonly RequestName[] {
  const [first, second] = names;
  return second !== undefined && first?.found === true ? [second, first] : names;
}

/** One string per name, unique over kinds: the key of caches and stores. */
export function nameKey(kind: NameKind, value: string): string {
  return LETTER[kind] + value;
}

/** The inverse of {@link nameKey}; `undefined` for a string that is not a key. */
export function parseNameKey(key: string): Name | undefined {
  const kind = KIND.get(key.charAt(0));
  return kind === undefined ? undefined : { kind, value: key.slice(1) };
}

/** The evidence for each kind of name; an address counts as a user without a session. */
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
 * All names of a request, the user first. The store decides what each is worth.
 *
 * The client address is used only if there is no other name. The agents of one SAP application server share it, so as
 * an alias it would bind them all to the agent who came last.
 */
export function namesOf(names: Names): RequestName[] {
  const all: RequestName[] = [];
  if (names.user !== undefined) all.push({ kind: 'user', value: names.user, found: names.userIsFound });
  if (names.session !== undefined) {
    all.push({ kind: 'session', value: names.session, found: names.sessionIsFound });
  }
  if (all.length === 0 && names.address !== undefined) all.push({ kind: 'address', value: names.address });
  return all;
}
