/**
 * How a request names its agent. SAP asserts the names in header and cookie; a
 * name in a body is only found there, and may be another person's.
 */
export type Evidence = 'asserted' | 'found';

/** What the user of a request has in the store. `found`: a binding that only found names ever used. */
export type UserHolds = 'nothing' | 'found' | 'binding';

/**
 * What the session of a request has in the store.
 *
 * `itself`: a binding of its own, without a user. `same`: it leads to the
 * binding of the request's user. `found-other`, `other`: it leads to the binding
 * of another user, who was found or asserted with it. `shared`: users took turns
 * with it, so it names no agent.
 */
export type SessionHolds = 'nothing' | 'itself' | 'same' | 'found-other' | 'other' | 'shared';

/**
 * What a claim does:
 *
 * `user`: the binding of the user, made where there is none; the session stays as it is.
 * `link`, `link-found`: the same, and the session leads to that binding from now on.
 * `take`, `take-found`: the user's binding is where the session's is, and the session leads to it.
 * `keep`: user and session already have one binding.
 * `session`: the binding of the session, made where there is none; the user stays as it is.
 * `no-agent`: the request names none.
 */
export type Ruling = 'user' | 'link' | 'link-found' | 'take' | 'take-found' | 'keep' | 'session' | 'no-agent';

const USER_HOLDS: readonly UserHolds[] = ['nothing', 'found', 'binding'];
const SESSION_HOLDS: readonly SessionHolds[] = [
  'nothing',
  'itself',
  'same',
  'found-other',
  'other',
  'shared',
];

/** How a request names user and session; `undefined` where it does not. */
export interface Named {
  readonly user: Evidence | undefined;
  readonly session: Evidence | undefined;
}

/** The table of decisions/0023, row by row. */
export function ruling({ user, session }: Named, userHolds: UserHolds, sessionHolds: SessionHolds): Ruling {
  if (user === undefined) return session === undefined || sessionHolds === 'shared' ? 'no-agent' : 'session';
  if (session === undefined || sessionHolds === 'shared') return 'user';
  if (user === 'found') return foundUser(userHolds, sessionHolds);
  return session === 'found' ? foundSession(userHolds, sessionHolds) : assertedBoth(userHolds, sessionHolds);
}

/** Both names are SAP's word: the user decides, and the session follows. */
function assertedBoth(userHolds: UserHolds, sessionHolds: SessionHolds): Ruling {
  // Until now the agent was known by the session alone, or by a user who was only found beside it.
  const isFirst = sessionHolds === 'itself' || sessionHolds === 'found-other';
  return isFirst && userHolds !== 'binding' ? 'take' : 'link';
}

/** The user decides. A session that already leads to a binding may be another agent's: it stays as it is. */
function foundSession(userHolds: UserHolds, sessionHolds: SessionHolds): Ruling {
  if (sessionHolds === 'same') return 'keep';
  if (sessionHolds === 'nothing') return 'link-found';
  return userHolds === 'nothing' && sessionHolds === 'itself' ? 'take-found' : 'user';
}

/** A session that is known decides. The user joins it only where neither has anything that could be lost. */
function foundUser(userHolds: UserHolds, sessionHolds: SessionHolds): Ruling {
  if (sessionHolds === 'same') return 'keep';
  if (sessionHolds === 'nothing') return 'link-found';
  return userHolds === 'nothing' && sessionHolds === 'itself' ? 'take-found' : 'session';
}

/** Rulings in the form that a store script takes: `a` or `f` for the user, then a letter for each situation. */
const LETTERS: Readonly<Record<Ruling, string>> = {
  user: 'u',
  link: 'l',
  'link-found': 'f',
  take: 't',
  'take-found': 'g',
  keep: 'k',
  session: 's',
  'no-agent': 'n',
};

const BY_LETTER = new Map(Object.entries(LETTERS).map(([name, letter]) => [letter, name as Ruling]));

/** At which position of {@link rulingsFor} the letter of a situation stands, from 1 on: `<user> <session>` -> position. */
export const RULING_AT: Readonly<Record<string, number>> = Object.fromEntries(
  USER_HOLDS.flatMap((user) => SESSION_HOLDS.map((session) => `${user} ${session}`)).map((situation, i) => [
    situation,
    // After the letter for the user.
    i + 2,
  ]),
);

/** All rulings for one way of naming: the letter for the user, then those of {@link RULING_AT}. */
export function rulingsFor(named: Named, rule: typeof ruling = ruling): string {
  let letters = named.user === 'found' ? 'f' : 'a';
  for (const userHolds of USER_HOLDS) {
    for (const sessionHolds of SESSION_HOLDS) letters += LETTERS[rule(named, userHolds, sessionHolds)];
  }
  return letters;
}

export function rulingOf(letter: string): Ruling {
  return BY_LETTER.get(letter) as Ruling;
}

/** Whose names lead to the binding after the ruling, as far as the request has them. */
export function leadsTo(by: Ruling): { readonly user: boolean; readonly session: boolean } {
  return { user: by !== 'session' && by !== 'no-agent', session: by !== 'user' && by !== 'no-agent' };
}
