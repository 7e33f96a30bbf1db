/**
 * What a name is worth by the place where it was found, and which of two names decides. (Proof that bytes were sent to
 * an instance is in `core/failure.ts`.)
 *
 * How a request names its agent: names in headers and cookies are asserted by SAP. A name in a body is only found, and
 * may be another person's.
 */
export type Evidence = 'asserted' | 'found';

/** What the store has for the user of a request. `found`: a binding that only found names ever used. */
export type UserHolds = 'nothing' | 'found' | 'binding';

/**
 * What the store has for the session of a request.
 *
 * `itself`: a binding of its own, without a user. `same`: it leads to the binding of the request's user.
 * `found-other`, `other`: it leads to the binding of another user, who was found or asserted with it. `shared`:
 * several users alternated on it, so it names no agent.
 */
export type SessionHolds = 'nothing' | 'itself' | 'same' | 'found-other' | 'other' | 'shared';

/**
 * What a claim does:
 *
 * `user`: uses the user's binding and makes it if there is none; the session stays unchanged. `link`, `link-found`:
 * the same, and the session leads to that binding from now on. `take`, `take-found`: the user's binding takes the
 * place of the session's, and the session leads to it. `keep`: user and session already share one binding. `session`:
 * uses the session's binding and makes it if there is none; the user stays unchanged. `no-agent`: the request names
 * no agent.
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

/** How a request names user and session; `undefined` if it does not. */
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

/** SAP asserts both names: the user decides, and the session follows. */
function assertedBoth(userHolds: UserHolds, sessionHolds: SessionHolds): Ruling {
  // Until now the agent was known only by the session, or by a user who was only found with it.
  const isFirst = sessionHolds === 'itself' || sessionHolds === 'found-other';
  return isFirst && userHolds !== 'binding' ? 'take' : 'link';
}

/** The user decides. A session that already leads to a binding may belong to another agent, so it stays unchanged. */
function foundSession(userHolds: UserHolds, sessionHolds: SessionHolds): Ruling {
  if (sessionHolds === 'same') return 'keep';
  if (sessionHolds === 'nothing') return 'link-found';
  return userHolds === 'nothing' && sessionHolds === 'itself' ? 'take-found' : 'user';
}

/** A known session decides. The user joins it only if neither name could lose a binding by that. */
function foundUser(userHolds: UserHolds, sessionHolds: SessionHolds): Ruling {
  if (sessionHolds === 'same') return 'keep';
  if (sessionHolds === 'nothing') return 'link-found';
  return userHolds === 'nothing' && sessionHolds === 'itself' ? 'take-found' : 'session';
}

/** Rulings in the form that store scripts take: `a` or `f` for the user, then a letter for each situation. */
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

/**
 * At which position of {@link rulingsFor} the letter of a situation stands, from 1 on: `<user> <session>` -> position.
 */
export const RULING_AT: Readonly<Record<string, number>> = Object.fromEntries(
  USER_HOLDS.flatMap((user) => SESSION_HOLDS.map((session) => `${user} ${session}`)).map((situation, i) => [
    situation,
    // Lua counts from 1, and the first letter is the user's.
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

/** Which of the request's names lead to the binding after the ruling. */
export function leadsTo(by: Ruling): { readonly user: boolean; readonly session: boolean } {
  return { user: by !== 'session' && by !== 'no-agent', session: by !== 'user' && by !== 'no-agent' };
}
