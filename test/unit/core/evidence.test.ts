import { describe, expect, test } from 'vitest';
import type { Evidence, Ruling, SessionHolds, UserHolds } from '../../../src/core/evidence.ts';
import { leadsTo, ruling, rulingOf, rulingsFor } from '../../../src/core/evidence.ts';

type Row = [
  user: Evidence | undefined,
  userHolds: UserHolds,
  session: Evidence | undefined,
  sessionHolds: SessionHolds,
  by: Ruling,
];

/** The table of decisions/0023: one line for each row of it. */
const ROWS: readonly Row[] = [
  // One name alone.
  ['asserted', 'nothing', undefined, 'nothing', 'user'],
  ['asserted', 'found', undefined, 'nothing', 'user'],
  ['asserted', 'binding', undefined, 'nothing', 'user'],
  ['found', 'nothing', undefined, 'nothing', 'user'],
  ['found', 'found', undefined, 'nothing', 'user'],
  ['found', 'binding', undefined, 'nothing', 'user'],
  [undefined, 'nothing', 'asserted', 'nothing', 'session'],
  [undefined, 'nothing', 'asserted', 'itself', 'session'],
  [undefined, 'nothing', 'asserted', 'found-other', 'session'],
  [undefined, 'nothing', 'asserted', 'other', 'session'],
  [undefined, 'nothing', 'asserted', 'shared', 'no-agent'],
  [undefined, 'nothing', 'found', 'nothing', 'session'],
  [undefined, 'nothing', 'found', 'itself', 'session'],
  [undefined, 'nothing', 'found', 'found-other', 'session'],
  [undefined, 'nothing', 'found', 'other', 'session'],
  [undefined, 'nothing', 'found', 'shared', 'no-agent'],
  [undefined, 'nothing', undefined, 'nothing', 'no-agent'],
  // Both asserted.
  ['asserted', 'nothing', 'asserted', 'nothing', 'link'],
  ['asserted', 'nothing', 'asserted', 'itself', 'take'],
  ['asserted', 'nothing', 'asserted', 'found-other', 'take'],
  ['asserted', 'nothing', 'asserted', 'other', 'link'],
  ['asserted', 'nothing', 'asserted', 'shared', 'user'],
  ['asserted', 'found', 'asserted', 'nothing', 'link'],
  ['asserted', 'found', 'asserted', 'itself', 'take'],
  ['asserted', 'found', 'asserted', 'same', 'link'],
  ['asserted', 'found', 'asserted', 'found-other', 'take'],
  ['asserted', 'found', 'asserted', 'other', 'link'],
  ['asserted', 'found', 'asserted', 'shared', 'user'],
  ['asserted', 'binding', 'asserted', 'nothing', 'link'],
  ['asserted', 'binding', 'asserted', 'itself', 'link'],
  ['asserted', 'binding', 'asserted', 'same', 'link'],
  ['asserted', 'binding', 'asserted', 'found-other', 'link'],
  ['asserted', 'binding', 'asserted', 'other', 'link'],
  ['asserted', 'binding', 'asserted', 'shared', 'user'],
  // The session is only found.
  ['asserted', 'nothing', 'found', 'nothing', 'link-found'],
  ['asserted', 'nothing', 'found', 'itself', 'take-found'],
  ['asserted', 'nothing', 'found', 'found-other', 'user'],
  ['asserted', 'nothing', 'found', 'other', 'user'],
  ['asserted', 'nothing', 'found', 'shared', 'user'],
  ['asserted', 'found', 'found', 'nothing', 'link-found'],
  ['asserted', 'found', 'found', 'itself', 'user'],
  ['asserted', 'found', 'found', 'same', 'keep'],
  ['asserted', 'found', 'found', 'found-other', 'user'],
  ['asserted', 'found', 'found', 'other', 'user'],
  ['asserted', 'found', 'found', 'shared', 'user'],
  ['asserted', 'binding', 'found', 'nothing', 'link-found'],
  ['asserted', 'binding', 'found', 'itself', 'user'],
  ['asserted', 'binding', 'found', 'same', 'keep'],
  ['asserted', 'binding', 'found', 'found-other', 'user'],
  ['asserted', 'binding', 'found', 'other', 'user'],
  ['asserted', 'binding', 'found', 'shared', 'user'],
  // The user is only found; whether the session is asserted makes no difference.
  ...(['asserted', 'found'] as const).flatMap((session): Row[] => [
    ['found', 'nothing', session, 'nothing', 'link-found'],
    ['found', 'nothing', session, 'itself', 'take-found'],
    ['found', 'nothing', session, 'found-other', 'session'],
    ['found', 'nothing', session, 'other', 'session'],
    ['found', 'nothing', session, 'shared', 'user'],
    ['found', 'found', session, 'nothing', 'link-found'],
    ['found', 'found', session, 'itself', 'session'],
    ['found', 'found', session, 'same', 'keep'],
    ['found', 'found', session, 'found-other', 'session'],
    ['found', 'found', session, 'other', 'session'],
    ['found', 'found', session, 'shared', 'user'],
    ['found', 'binding', session, 'nothing', 'link-found'],
    ['found', 'binding', session, 'itself', 'session'],
    ['found', 'binding', session, 'same', 'keep'],
    ['found', 'binding', session, 'found-other', 'session'],
    ['found', 'binding', session, 'other', 'session'],
    ['found', 'binding', session, 'shared', 'user'],
  ]),
];

const USERS = ['nothing', 'found', 'binding'] as const;
const SESSIONS = ['nothing', 'itself', 'same', 'found-other', 'other', 'shared'] as const;
const EVIDENCE = ['asserted', 'found', undefined] as const;

describe('the weight of the names of a request', () => {
  test.each(ROWS)('user %s holding %s, session %s holding %s: %s', (user, userHolds, session, holds, by) => {
    expect(ruling({ user, session }, userHolds, holds)).toBe(by);
  });

  test('a user who was found beside another session never moves, takes or joins it', () => {
    for (const session of ['asserted', 'found'] as const) {
      for (const userHolds of USERS) {
        for (const holds of ['found-other', 'other'] as const) {
          expect(leadsTo(ruling({ user: 'found', session }, userHolds, holds)).user).toBe(false);
        }
      }
    }
  });

  test('a session that was found beside an asserted user never decides', () => {
    for (const userHolds of USERS) {
      for (const holds of SESSIONS) {
        expect(ruling({ user: 'asserted', session: 'found' }, userHolds, holds)).not.toBe('session');
      }
    }
  });

  test('the Lua scripts get the whole table, a letter for each situation', () => {
    for (const user of EVIDENCE) {
      for (const session of EVIDENCE) {
        const letters = rulingsFor({ user, session });
        expect(letters).toHaveLength(1 + USERS.length * SESSIONS.length);
        expect(letters[0]).toBe(user === 'found' ? 'f' : 'a');
        USERS.forEach((userHolds, u) => {
          SESSIONS.forEach((holds, s) => {
            const letter = letters[1 + u * SESSIONS.length + s] as string;
            expect(rulingOf(letter)).toBe(ruling({ user, session }, userHolds, holds));
          });
        });
      }
    }
  });
});
