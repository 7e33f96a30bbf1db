import type { PasswordRecord } from '../core/password-record.ts';
import { isPasswordOf } from './password.ts';

export type Verdict =
  | { readonly kind: 'granted'; readonly user: string }
  /** No credentials, or none that can be read. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'wrong' }
  /** Too many attempts wait already. */
  | { readonly kind: 'busy' };

// Hashing is slow on purpose. One at a time keeps it to a part of one core and 128 MB, however many ask.
const MOST_WAITING = 8;

/**
 * Tells by Basic authentication (RFC 7617) who may change something. Reads the
 * password file at each attempt, so that a changed password holds at once.
 */
export class PasswordGate {
  readonly #read: () => readonly PasswordRecord[];
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @param read may throw, and then so does {@link check} */
  constructor(read: () => readonly PasswordRecord[]) {
    this.#read = read;
  }

  async check(authorization: string | undefined): Promise<Verdict> {
    const shown = credentials(authorization);
    if (shown === undefined) return { kind: 'absent' };
    if (this.#waiting >= MOST_WAITING) return { kind: 'busy' };
    this.#waiting += 1;
    const attempt = this.#last.then(() => this.#compare(shown));
    // The next one runs whether or not this one fails.
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
    // A name that nobody has takes as long as one with a wrong password, and so tells nothing.
    const [usual] = records;
    if (usual !== undefined) await isPasswordOf(usual, password);
    return false;
  }
}

interface Credentials {
  readonly user: string;
  readonly password: string;
}

// Basic credentials longer than this are no password that somebody typed, and are not hashed.
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
