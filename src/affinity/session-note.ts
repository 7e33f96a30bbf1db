/** The note on a session on which several users alternate. */
export const SHARED = 'shared';
/** Any other note lists the previous users of the session, at most this many. */
export const MOST_FORMER = 8;
/** The number of hexadecimal digits of the SHA-1 that stand for each previous user. */
export const DIGITS = 8;
