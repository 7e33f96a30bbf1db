import type { Refusal } from './found-user.ts';
import { canonicalUser, decodeHeaderValue, USER_LIMIT } from './user-name.ts';

/** The same cookie was sent with two different values. */
export const AMBIGUOUS: unique symbol = Symbol('ambiguous');

/** The cookie was sent, and is longer than any session id. */
export const TOO_LONG: unique symbol = Symbol('too long');

// Longer than any session id that was ever seen, several times over.
const VALUE_LIMIT = 4096;

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

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

/**
 * The value of a cookie in a Cookie header, exactly as it was sent: not decoded,
 * not unquoted, its padding kept, because it is opaque and only ever compared.
 * White space around it is no part of it (RFC 6265 section 4.2.1). A cookie that
 * is empty counts as absent.
 *
 * @param name compared case-sensitively
 */
export function cookieValue(
  header: string,
  name: string,
): string | typeof AMBIGUOUS | typeof TOO_LONG | undefined {
  let value: string | undefined;
  let isTooLong = false;
  let found = header.indexOf(name);
  while (found !== -1) {
    const next = found + name.length;
    const equals = skipSpace(header, next);
    if (header.charCodeAt(equals) === EQUALS && beginsPair(header, found)) {
      let end = header.indexOf(';', equals);
      if (end === -1) end = header.length;
      const start = skipSpace(header, equals + 1);
      while (end > start && isSpace(header.charCodeAt(end - 1))) end--;
      if (end - start > VALUE_LIMIT) {
        isTooLong = true;
      } else if (end > start) {
        const given = header.slice(start, end);
        if (value !== undefined && value !== given) return AMBIGUOUS;
        value = given;
      }
      found = header.indexOf(name, Math.max(end, next));
    } else {
      found = header.indexOf(name, next);
    }
  }
  return value ?? (isTooLong ? TOO_LONG : undefined);
}

/** Only white space stands between the beginning, or a semicolon, and `at`. */
function beginsPair(header: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && isSpace(header.charCodeAt(before))) before--;
  return before < 0 || header.charCodeAt(before) === SEMICOLON;
}

function skipSpace(header: string, from: number): number {
  let at = from;
  while (isSpace(header.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
