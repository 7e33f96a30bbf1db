import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { PasswordRecord } from '../core/password-record.ts';
import type { Credentials } from './credentials.ts';
import { isPasswordOf } from './password.ts';

export type Verdict<Granted> =
  | { readonly kind: 'granted'; readonly record: Granted }
  | { readonly kind: 'wrong' }
  /** Too many attempts are already waiting. */
  | { readonly kind: 'busy' };

// Hashing is slow on purpose. One hash at a time limits it to part of one core and 128 MB, whatever the number of
// attempts. The last attempt of a source waits a few seconds.
const MOST_OF_ONE_SOURCE = 32;
const MOST_WAITING = 128;

interface Attempt {
  run(): Promise<void>;
  refuse(): void;
}

interface Known {
  /** That of the password file, as long as the password is the same. */
  readonly hash: Uint8Array;
  readonly digest: Buffer;
}

/**
 * Checks passwords, one at a time, in a thread of their own. Sources take turns, so that one that guesses does not keep
 * others waiting. A right password that was checked before is granted at once, however many wrong ones wait: its digest
 * stays in memory, by a key that nothing else has.
 */
export class PasswordGate<Granted extends PasswordRecord = PasswordRecord> {
  readonly #read: () => readonly Granted[];
  /** The attempts that wait, by source. The first source has the next turn. */
  readonly #waiting = new Map<string, Attempt[]>();
  #count = 0;
  #isRunning = false;
  readonly #key = randomBytes(32);
  readonly #known = new Map<string, Known>();

  /**
   * @param read is called at each attempt, so that a changed password takes effect at once. It may throw; {@link check}
   *   then rejects with the same error.
   */
  constructor(read: () => readonly Granted[]) {
    this.#read = read;
  }

  /** The record of a right password that was checked before and has not changed since; otherwise `undefined`. */
  known(shown: Credentials): Granted | undefined {
    const known = this.#known.get(shown.user);
    if (known === undefined) return undefined;
    const record = this.#recordOf(shown.user);
    if (record === undefined || Buffer.compare(record.hash, known.hash) !== 0) {
      this.#known.delete(shown.user);
      return undefined;
    }
    return timingSafeEqual(known.digest, this.#digestOf(shown)) ? record : undefined;
  }

  /** @param source the address that shows them */
  async check(shown: Credentials, source: string): Promise<Verdict<Granted>> {
    const known = this.known(shown);
    if (known !== undefined) return { kind: 'granted', record: known };
    return new Promise((resolve, reject) => {
      const own = this.#waiting.get(source) ?? [];
      const attempt: Attempt = {
        run: () =>
          this.#compare(shown).then(
            (record) => resolve(record === undefined ? { kind: 'wrong' } : { kind: 'granted', record }),
            reject,
          ),
        refuse: () => resolve({ kind: 'busy' }),
      };
      if (own.length >= MOST_OF_ONE_SOURCE) {
        attempt.refuse();
        return;
      }
      own.push(attempt);
      this.#waiting.set(source, own);
      this.#count += 1;
      if (this.#count > MOST_WAITING) this.#refuseOne();
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      const [source, attempts] = next;
      const attempt = attempts.shift() as Attempt;
      this.#count -= 1;
      this.#waiting.delete(source);
      if (attempts.length > 0) this.#waiting.set(source, attempts);
      await attempt.run();
    }
    this.#isRunning = false;
  }

  /** The newest attempt of the source that has most. */
  #refuseOne(): void {
    let [most] = this.#waiting.values();
    for (const attempts of this.#waiting.values()) if (attempts.length > (most?.length ?? 0)) most = attempts;
    most?.pop()?.refuse();
    this.#count -= 1;
    for (const [source, attempts] of this.#waiting) if (attempts.length === 0) this.#waiting.delete(source);
  }

  async #compare(shown: Credentials): Promise<Granted | undefined> {
    const { user, password } = shown;
    const record = this.#recordOf(user);
    if (record === undefined) {
      // An unknown user takes as long as a wrong password, so the duration does not reveal which users exist.
      const [usual] = this.#read();
      if (usual !== undefined) await isPasswordOf(usual, password);
      return undefined;
    }
    if (!(await isPasswordOf(record, password))) return undefined;
    this.#known.set(user, { hash: record.hash, digest: this.#digestOf(shown) });
    return record;
  }

  #recordOf(user: string): Granted | undefined {
    return this.#read().find((one) => one.user === user);
  }

  #digestOf({ user, password }: Credentials): Buffer {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([user, password.normalize('NFC')]))
      .digest();
  }
}
