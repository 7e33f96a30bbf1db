/** The note on a session that users took turns with. */
export const SHARED = 'shared';
/** Any other note lists so many users who had the session before its present one. */
export const MOST_FORMER = 8;
/** So many hexadecimal digits of the SHA-1 of each. */
export const DIGITS = 8;
