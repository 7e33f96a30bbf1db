import type { PasswordRecord } from '../core/password-record.ts';
import { isPasswordOf } from './password.ts';

export type Verdict =
  | { readonly kind: 'granted'; readonly user: string }
  /** The request has no credentials, or malformed ones. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'wrong' }
  /** Too many attempts are already waiting. */
  | { readonly kind: 'busy' };

// Hashing is slow on purpose. One hash at a time limits it to part of one core and 128 MB, whatever the number of attempts.
const MOST_WAITING = 8;

/**
 * Authorizes changes by Basic authentication (RFC 7617). Reads the password file at
 * each attempt, so that a changed password takes effect at once.
 */
export class PasswordGate {
  readonly #read: () => readonly PasswordRecord[];
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @param read may throw; {@link check} then rejects with the same error */
  constructor(read: () => readonly PasswordRecord[]) {
    this.#read = read;
  }

  async check(authorization: string | undefined): Promise<Verdict> {
    const shown = credentials(authorization);
    if (shown === undefined) return { kind: 'absent' };
    if (this.#waiting >= MOST_WAITING) return { kind: 'busy' };
    this.#waiting += 1;
    const attempt = this.#last.then(() => this.#compare(shown));
    // The next attempt runs whether or not this one fails.
    this.#last = attempt.catch(() => undefined);
    try {
      return (await attempt) ? { kind: 'granted', user: shown.user } : { kind: 'wrong' };
    } finally {
      this.#waiting -= 1;
    }
  }

  async #compare({ user, password }: Credentials): Promise<boolean> {
    const records = this.#read();
    const record = records.find((one) => one.user === user);
    if (record !== undefined) return isPasswordOf(record, password);
    // An unknown user takes as long as a wrong password, so the duration does not reveal which users exist.
    const [usual] = records;
    if (usual !== undefined) await isPasswordOf(usual, password);
    return false;
  }
}

interface Credentials {
  readonly user: string;
  readonly password: string;
}

// Basic credentials longer than this cannot be a typed password and are not hashed.
const MOST_BYTES = 1_024;

function credentials(authorization = ''): Credentials | undefined {
  const [, encoded = ''] = /^Basic +([A-Za-z0-9+/]+=*) *$/i.exec(authorization) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length === 0 || bytes.length > MOST_BYTES) return undefined;
  const text = bytes.toString('utf8');
  const colon = text.indexOf(':');
  // RFC 7617 §2 forbids control characters; a zero at the end would make no difference to scrypt.
  if (colon < 0 || /\p{Cc}/u.test(text)) return undefined;
  return { user: text.slice(0, colon).normalize('NFC'), password: text.slice(colon + 1) };
}
