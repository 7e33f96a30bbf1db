import { canonicalUser, decodeHeaderValue, USER_LIMIT } from '../core/user-name.ts';
import type { Refusal } from './found-user.ts';

/** The same cookie was sent with two different values. */
export const AMBIGUOUS: unique symbol = Symbol('ambiguous');

/** The cookie is longer than any session id. */
export const TOO_LONG: unique symbol = Symbol('too long');

/** The cookie has a control character. */
export const FORBIDDEN: unique symbol = Symbol('forbidden');

// Several times longer than any session id seen so far.
const VALUE_LIMIT = 4096;

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

export interface HeaderIdentitySources {
  /** The header that names the user; `undefined` if headers are not used. */
  readonly userHeader?: string | undefined;
  /** The cookie that names the session; `undefined` if cookies are not used. */
  readonly sessionCookie?: string | undefined;
  /** The pattern that a whole user name must match. */
  readonly userPattern?: { test(text: string): boolean } | undefined;
}

/** Why a request's header does not identify the agent. */
export type Ambiguity =
  | 'repeated-user-header' // the header occurs more than once, even with the same value
  | 'conflicting-cookies' // the session cookie has two values, and no user decides
  | 'hop-by-hop'; // Connection asks for the removal of a header that decides the route

/** What the HTTP header of a request says about its agent: the user header and the session cookie. */
export interface HeaderIdentity {
  /** In canonical form. */
  readonly user: string | undefined;
  /** Exactly as sent. */
  readonly session: string | undefined;
  /** The request must be refused. There are no names then. */
  readonly ambiguous: boolean;
  readonly ambiguity: Ambiguity | undefined;
  /** A name that the request sent and that is not used; the user if neither is. */
  readonly refused: { readonly source: 'header' | 'cookie'; readonly reason: Refusal } | undefined;
}

const NOTHING: HeaderIdentity = Object.freeze({
  user: undefined,
  session: undefined,
  ambiguous: false,
  ambiguity: undefined,
  refused: undefined,
});

/** Finds the names of the agent in the HTTP header, where SAP CRM puts them (SAP Note 1640673). */
export class HeaderIdentityExtractor {
  /** In lower case, because header names are compared so; `undefined` if the source is not used. */
  readonly #userHeader: string | undefined;
  readonly #cookieHeader: 'cookie' | undefined;
  readonly #sessionCookie: string | undefined;
  readonly #userPattern: HeaderIdentitySources['userPattern'];

  constructor({ userHeader, sessionCookie, userPattern }: HeaderIdentitySources) {
    this.#userPattern = userPattern;
    this.#userHeader = userHeader?.toLowerCase();
    this.#sessionCookie = sessionCookie;
    this.#cookieHeader = sessionCookie === undefined ? undefined : 'cookie';
  }

  /**
   * Reads the header in one pass.
   *
   * @param rawHeaders names and values alternating, as in Node's `rawHeaders`
   */
  extract(rawHeaders: readonly string[]): HeaderIdentity {
    let userHeader: string | undefined;
    let session: string | undefined;
    let refused: HeaderIdentity['refused'];
    let isConflicting = false;
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      const name = rawHeaders[at] as string;
      const value = rawHeaders[at + 1] as string;
      if (isSameName(name, this.#userHeader)) {
        // It is unknown which of the two values the instance would use.
        if (userHeader !== undefined) return ambiguous('repeated-user-header');
        userHeader = value;
      } else if (isSameName(name, this.#cookieHeader)) {
        const found = cookieValue(value, this.#sessionCookie as string);
        if (found === undefined) continue;
        if (found === TOO_LONG) refused = { source: 'cookie', reason: 'length' };
        else if (found === FORBIDDEN) refused = { source: 'cookie', reason: 'characters' };
        else if (found === AMBIGUOUS || (session !== undefined && session !== found)) isConflicting = true;
        else session = found;
      } else if (isSameName(name, 'connection') && this.#isNamedIn(value)) {
        return ambiguous('hop-by-hop');
      }
    }
    if (userHeader === undefined && session === undefined && refused === undefined && !isConflicting)
      return NOTHING;
    let user: string | undefined;
    // An empty header names no agent.
    if (userHeader !== undefined && userHeader !== '') {
      user = canonicalUser(decodeHeaderValue(userHeader));
      if (user === undefined)
        refused = { source: 'header', reason: userHeader.length > USER_LIMIT ? 'length' : 'characters' };
      else if (this.#userPattern?.test(user) === false) {
        user = undefined;
        refused = { source: 'header', reason: 'pattern' };
      }
    }
    if (isConflicting) {
      // It is unknown which of the two the instance would use, but a user decides anyway.
      if (user === undefined) return ambiguous('conflicting-cookies');
      session = undefined;
      refused = { source: 'cookie', reason: 'conflict' };
    }
    return { user, session, ambiguous: false, ambiguity: undefined, refused };
  }

  /**
   * Does a Connection header name a header that decides the route? The instance would then not see that header
   * (RFC 9110 section 7.6.1).
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

function ambiguous(ambiguity: Ambiguity): HeaderIdentity {
  return { user: undefined, session: undefined, ambiguous: true, ambiguity, refused: undefined };
}

/** Compares a header name with a lower-case one without creating a string. */
function isSameName(name: string, lowerCase: string | undefined): boolean {
  if (lowerCase === undefined || name.length !== lowerCase.length) return false;
  for (let at = 0; at < name.length; at++) {
    const wanted = lowerCase.charCodeAt(at);
    const code = name.charCodeAt(at);
    if (code === wanted) continue;
    // Only for letters does this bit mean upper or lower case.
    if (wanted < 0x61 || wanted > 0x7a || (code | 0x20) !== wanted) return false;
  }
  return true;
}

/**
 * The value of a cookie in a Cookie header, exactly as sent. It is neither decoded nor unquoted, because it is opaque
 * and only compared. White space around it does not belong to it (RFC 6265 section 4.2.1).
 *
 * An empty cookie counts as absent.
 *
 * @param name compared case-sensitively
 */
export function cookieValue(
  header: string,
  name: string,
): string | typeof AMBIGUOUS | typeof TOO_LONG | typeof FORBIDDEN | undefined {
  let value: string | undefined;
  let unusable: typeof TOO_LONG | typeof FORBIDDEN | undefined;
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
        unusable = TOO_LONG;
      } else if (end > start) {
        const given = header.slice(start, end);
        // The parser refuses all other control characters.
        if (given.includes('\t')) unusable = FORBIDDEN;
        else if (value !== undefined && value !== given) return AMBIGUOUS;
        else value = given;
      }
      found = header.indexOf(name, Math.max(end, next));
    } else {
      found = header.indexOf(name, next);
    }
  }
  return value ?? unusable;
}

/** Is there only white space between the start of the header, or a semicolon, and `at`? */
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
