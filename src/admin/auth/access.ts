import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { isLoopback } from '../../core/loopback.ts';
import type { AdminUser } from '../../core/password-record.ts';
import type { Role } from '../../core/role.ts';
import { hostCheck } from './host-check.ts';
import { cookieName, readCookie } from './session-cookie.ts';
import type { Session } from './sessions.ts';
import { Sessions } from './sessions.ts';

/** A token that a program sends as `Authorization: Bearer`. */
export interface AccessToken {
  readonly name: string;
  readonly role: Role;
  readonly token: string;
  /** Several operators share it, so a change may name its operator. */
  readonly isShared: boolean;
}

export interface AccessOptions {
  /** The users of the password file; `undefined` without one. Read at each request. */
  readonly users: (() => readonly AdminUser[]) | undefined;
  /** The configured tokens. Read at each request. */
  readonly tokens: (() => readonly AccessToken[]) | undefined;
  /** The names of this gateway in URLs, beside addresses and `localhost`. */
  readonly hosts: readonly string[];
  /** A key that outlives this process. */
  readonly secret: string;
  readonly sessionIdleMs: number;
  readonly sessionLifetimeMs: number;
  readonly isTls: boolean;
}

/** Who sent a request, as far as the gateway knows. */
export interface Caller {
  /** The name of the user or token; `null` for requests from this host while there are neither. */
  readonly user: string | null;
  readonly role: Role;
  readonly kind: 'user' | 'token' | 'loopback';
  readonly isShared: boolean;
  /** The log-in in a browser that the request belongs to. */
  readonly session: Session | undefined;
  /** False once the session has ended, or the user or token was removed or has another role. */
  isStillAllowed(): boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** `undefined` on public routes, if the sender is not known. */
    caller: Caller | undefined;
  }
}

/** Finds out who sends a request. */
export class Access {
  readonly sessions: Sessions;
  readonly isTls: boolean;
  /** False: no user and no token is configured. */
  readonly isConfigured: boolean;
  readonly hasUsers: boolean;
  readonly isOwnHost: (host: string | undefined) => boolean;
  readonly users: () => readonly AdminUser[];
  readonly #tokens: () => readonly AccessToken[];

  constructor({ users, tokens, hosts, secret, sessionIdleMs, sessionLifetimeMs, isTls }: AccessOptions) {
    this.users = users ?? (() => []);
    this.sessions = new Sessions({
      secret,
      idleMs: sessionIdleMs,
      lifetimeMs: sessionLifetimeMs,
      users: this.users,
    });
    this.isTls = isTls;
    this.isConfigured = users !== undefined || tokens !== undefined;
    this.hasUsers = users !== undefined;
    this.isOwnHost = hostCheck(hosts);
    this.#tokens = tokens ?? (() => []);
  }

  /** `wrong-token`: the request shows a token that is not known. `undefined`: it shows nothing. */
  identify({ headers, raw }: FastifyRequest): Caller | 'wrong-token' | undefined {
    const { authorization, host, cookie } = headers;
    if (!this.isConfigured) {
      const isFromHere = isLocal(raw.socket.remoteAddress) && !hasForwardingHeaders(headers);
      return isFromHere ? LOCAL : undefined;
    }
    if (authorization !== undefined) {
      const [, shown = ''] = /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
      return this.#ofToken(digest(shown)) ?? 'wrong-token';
    }
    const value = this.isOwnHost(host) ? readCookie(cookie, cookieName(host)) : undefined;
    return value === undefined ? undefined : this.#ofCookie(value);
  }

  #ofToken(shown: Buffer): Caller | undefined {
    // Digests have equal lengths, so the duration of the comparison reveals nothing.
    const found = this.#tokens().find(({ token }) => timingSafeEqual(digest(token), shown));
    if (found === undefined) return undefined;
    const { name, role, isShared } = found;
    return {
      user: name,
      role,
      kind: 'token',
      isShared,
      session: undefined,
      isStillAllowed: () => this.#ofToken(shown)?.role === role,
    };
  }

  #ofCookie(value: string): Caller | undefined {
    const session = this.sessions.find(value);
    const record = session === undefined ? undefined : this.sessions.userOf(session);
    if (record === undefined) return undefined;
    const { user, role } = record;
    return {
      user,
      role,
      kind: 'user',
      isShared: false,
      session,
      isStillAllowed: () => this.#ofCookie(value)?.role === role,
    };
  }
}

const LOCAL: Caller = {
  user: null,
  role: 'viewer',
  kind: 'loopback',
  isShared: false,
  session: undefined,
  isStillAllowed: () => true,
};

/** A Unix socket has no address. */
function isLocal(peer: string | undefined): boolean {
  return peer === undefined || isLoopback(peer);
}

/** A proxy on this host has sent it for another one. */
function hasForwardingHeaders(headers: FastifyRequest['headers']): boolean {
  return ['forwarded', 'x-forwarded-for', 'x-real-ip'].some((name) => headers[name] !== undefined);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
