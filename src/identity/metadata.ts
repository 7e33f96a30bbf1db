import { AMBIGUOUS, cookieValue, TOO_LONG } from './cookie.ts';
import type { Refusal } from './found-user.ts';
import { canonicalUser, decodeHeaderValue, USER_LIMIT } from './user-name.ts';

export interface MetadataSources {
  /** Header that names the user; `undefined` where headers are not asked. */
  readonly userHeader?: string | undefined;
  /** Cookie that names the session; `undefined` where cookies are not asked. */
  readonly sessionCookie?: string | undefined;
  /** That a whole user name must match. */
  readonly userPattern?: { test(text: string): boolean } | undefined;
}

/** Why a request's header does not tell who the agent is. */
export type Ambiguity =
  | 'repeated-user-header' // it stands there more than once, be it with the same value
  | 'conflicting-cookies' // the session cookie has two values
  | 'hop-by-hop'; // Connection asks for the removal of a header that decides the route

export interface Metadata {
  /** In canonical form. */
  readonly user: string | undefined;
  /** Exactly as sent. */
  readonly session: string | undefined;
  /** The request must be refused; then no name is told. */
  readonly ambiguous: boolean;
  readonly ambiguity: Ambiguity | undefined;
  /** Why a name that was sent cannot be one. */
  readonly refused: Refusal | undefined;
}

const NOTHING: Metadata = Object.freeze({
  user: undefined,
  session: undefined,
  ambiguous: false,
  ambiguity: undefined,
  refused: undefined,
});

/** Finds the names of the agent that SAP CRM puts into the HTTP header (SAP Note 1640673). */
export class MetadataExtractor {
  /** In lower case, as both are compared; `''` where the source is not asked. */
  readonly #userHeader: string;
  readonly #cookieHeader: string;
  readonly #sessionCookie: string;
  readonly #userPattern: MetadataSources['userPattern'];

  constructor({ userHeader, sessionCookie, userPattern }: MetadataSources) {
    this.#userPattern = userPattern;
    this.#userHeader = userHeader?.toLowerCase() ?? '';
    this.#sessionCookie = sessionCookie ?? '';
    this.#cookieHeader = this.#sessionCookie === '' ? '' : 'cookie';
  }

  /**
   * One pass over the header as it came.
   *
   * @param rawHeaders names and values in turn, as Node's `rawHeaders` has them
   */
  extract(rawHeaders: readonly string[]): Metadata {
    let userHeader: string | undefined;
    let session: string | undefined;
    let refused: Refusal | undefined;
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      const name = rawHeaders[at] as string;
      const value = rawHeaders[at + 1] as string;
      if (isSameName(name, this.#userHeader)) {
        // Which of two the instance would believe is anybody's guess.
        if (userHeader !== undefined) return ambiguous('repeated-user-header');
        userHeader = value;
      } else if (isSameName(name, this.#cookieHeader)) {
        const found = cookieValue(value, this.#sessionCookie);
        if (found === AMBIGUOUS) return ambiguous('conflicting-cookies');
        if (found === undefined) continue;
        if (found === TOO_LONG) {
          refused = 'length';
          continue;
        }
        if (session !== undefined && session !== found) return ambiguous('conflicting-cookies');
        session = found;
      } else if (isSameName(name, 'connection') && this.#isNamedIn(value)) {
        return ambiguous('hop-by-hop');
      }
    }
    if (userHeader === undefined && session === undefined && refused === undefined) return NOTHING;
    let user: string | undefined;
    // An empty header names no agent.
    if (userHeader !== undefined && userHeader !== '') {
      user = canonicalUser(decodeHeaderValue(userHeader));
      if (user === undefined) refused = userHeader.length > USER_LIMIT ? 'length' : 'characters';
      else if (this.#userPattern?.test(user) === false) {
        user = undefined;
        refused = 'pattern';
      }
    }
    return { user, session, ambiguous: false, ambiguity: undefined, refused };
  }

  /**
   * Whether a Connection header names a header that routes. The instance would
   * then not see what the gateway routed by (RFC 9110 section 7.6.1).
   */
  #isNamedIn(connection: string): boolean {
    let start = 0;
    while (start < connection.length) {
      let end = connection.indexOf(',', start);
      if (end === -1) end = connection.length;
      const option = connection.slice(start, end).trim();
      if (isSameName(option, this.#userHeader) || isSameName(option, this.#cookieHeader)) return true;
      start = end + 1;
    }
    return false;
  }
}

function ambiguous(ambiguity: Ambiguity): Metadata {
  return { user: undefined, session: undefined, ambiguous: true, ambiguity, refused: undefined };
}

/** Compares a header name with one that is in lower case, without making a string of it. */
function isSameName(name: string, lowerCase: string): boolean {
  if (name.length !== lowerCase.length || lowerCase === '') return false;
  for (let at = 0; at < name.length; at++) {
    const wanted = lowerCase.charCodeAt(at);
    const code = name.charCodeAt(at);
    if (code === wanted) continue;
    // Only letters differ by this bit alone in case.
    if (wanted < 0x61 || wanted > 0x7a || (code | 0x20) !== wanted) return false;
  }
  return true;
}
