import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AdminUser } from '../../core/password-record.ts';

/** A log-in in a browser. Times are milliseconds since the Unix epoch. */
export interface Session {
  readonly id: string;
  readonly user: string;
  readonly startedAt: number;
  /** When its user last did something, as the cookie says. */
  readonly usedAt: number;
}

export interface SessionsOptions {
  /** The key of this gateway: cookies stay valid when its controller is replaced. */
  readonly secret: string;
  /** The end after the last action of the user. */
  readonly idleMs: number;
  /** The end after the log-in. */
  readonly lifetimeMs: number;
  readonly users: () => readonly AdminUser[];
}

// An action within this time does not renew the cookie, so that answers to quick requests carry none.
const RENEW_AFTER_MS = 60_000;
const ID_BYTES = 18;
const KEY_BYTES = 32;

/**
 * The log-ins of browsers. The cookie holds the session and a signature; the gateway keeps only what it must remember
 * beside it. The signature covers the line of the password file too, so a changed password ends all sessions of its user.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #key: Buffer;
  /** The last action in each session; a page that stays open shows an older cookie. */
  readonly #usedAt = new Map<string, number>();
  /** The sessions that were ended by a log-out, each with the time at which it would have ended. */
  readonly #revoked = new Map<string, number>();

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#key = Buffer.from(hkdfSync('sha256', options.secret, '', 'admin session', KEY_BYTES));
  }

  /** Begins a session and returns the value of its cookie. */
  start(user: AdminUser): string {
    this.#forgetEnded();
    const now = Date.now();
    const id = randomBytes(ID_BYTES).toString('base64url');
    this.#usedAt.set(id, now);
    return this.#seal({ id, user: user.user, startedAt: now, usedAt: now }, user);
  }

  /** The session of a cookie; `undefined` if the cookie is not valid, or the session has ended. */
  find(cookie: string): Session | undefined {
    const [payload = '', signature = ''] = cookie.split('.');
    const session = parse(payload);
    const user = session === undefined ? undefined : this.userOf(session);
    if (session === undefined || user === undefined) return undefined;
    const expected = Buffer.from(this.#sign(payload, user));
    const shown = Buffer.from(signature);
    if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) return undefined;
    return this.isOver(session) ? undefined : session;
  }

  /** The user with the present role; `undefined` if the user was removed. */
  userOf({ user }: Session): AdminUser | undefined {
    return this.#options.users().find((one) => one.user === user);
  }

  isOver(session: Session): boolean {
    const now = Date.now();
    const { idleMs, lifetimeMs } = this.#options;
    const usedAt = Math.max(session.usedAt, this.#usedAt.get(session.id) ?? 0);
    return this.#revoked.has(session.id) || now >= usedAt + idleMs || now >= session.startedAt + lifetimeMs;
  }

  /** Notes an action of the user. Returns the value of a new cookie if the present one is old. */
  use(session: Session): string | undefined {
    const now = Date.now();
    this.#usedAt.set(session.id, now);
    const user = this.userOf(session);
    const isRecent = now - session.usedAt < Math.min(RENEW_AFTER_MS, this.#options.idleMs / 2);
    return user === undefined || isRecent ? undefined : this.#seal({ ...session, usedAt: now }, user);
  }

  end({ id, startedAt }: Session): void {
    this.#usedAt.delete(id);
    this.#revoked.set(id, startedAt + this.#options.lifetimeMs);
  }

  #seal({ id, user, startedAt, usedAt }: Session, record: AdminUser): string {
    const payload = Buffer.from(JSON.stringify([id, user, startedAt, usedAt])).toString('base64url');
    return `${payload}.${this.#sign(payload, record)}`;
  }

  #sign(payload: string, { salt, hash }: AdminUser): string {
    return createHmac('sha256', this.#key)
      .update(payload)
      .update('.')
      .update(salt)
      .update(hash)
      .digest('base64url');
  }

  #forgetEnded(): void {
    const now = Date.now();
    for (const [id, usedAt] of this.#usedAt)
      if (now >= usedAt + this.#options.idleMs) this.#usedAt.delete(id);
    for (const [id, endsAt] of this.#revoked) if (now >= endsAt) this.#revoked.delete(id);
  }
}

function parse(payload: string): Session | undefined {
  try {
    const [id, user, startedAt, usedAt] = JSON.parse(
      Buffer.from(payload, 'base64url').toString(),
    ) as unknown[];
    if (typeof id !== 'string' || typeof user !== 'string') return undefined;
    if (typeof startedAt !== 'number' || typeof usedAt !== 'number') return undefined;
    return { id, user, startedAt, usedAt };
  } catch {
    return undefined;
  }
}
