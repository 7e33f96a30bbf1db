import { hash } from 'node:crypto';
import type { SessionNote } from '../core/holdings.ts';

/** The note on a session on which several users alternate. */
export const SHARED = 'shared';
/** Any other note lists the previous users of the session, at most this many. */
export const MOST_FORMER = 8;
/** The number of hexadecimal digits of the SHA-1 that stand for each previous user. */
export const DIGITS = 8;

/** What stands for the user with this key in a note. */
export function digestOf(key: string): string {
  return hash('sha1', key, 'hex').slice(0, DIGITS);
}

/** What the note means for a request of the user with this key. */
export function readNote(note: string | undefined, user: string | undefined): SessionNote {
  if (note === SHARED) return 'shared';
  if (note === undefined || user === undefined) return undefined;
  const mine = digestOf(user);
  for (let i = 0; i < note.length; i += DIGITS) if (note.slice(i, i + DIGITS) === mine) return 'alternates';
  return undefined;
}
