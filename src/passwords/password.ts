import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import type { PasswordRecord, ScryptCost } from '../core/password-record.ts';
import type { Role } from '../core/role.ts';

// One of the equivalent settings in OWASP's Password Storage Cheat Sheet; it needs 32 MB.
const USUAL_COST: ScryptCost = { logN: 15, blockSize: 8, parallelization: 3 };

const SALT_BYTES = 16;
const HASH_BYTES = 32;

export async function hashPassword(
  user: string,
  password: string,
  { role, cost = USUAL_COST }: { readonly role?: Role | undefined; readonly cost?: ScryptCost } = {},
): Promise<PasswordRecord> {
  const salt = randomBytes(SALT_BYTES);
  return { user, role, cost, salt, hash: await derive(password, salt, HASH_BYTES, cost) };
}

/** Takes equally long for a wrong and for the right password. */
export async function isPasswordOf(record: PasswordRecord, password: string): Promise<boolean> {
  const { salt, hash, cost } = record;
  return timingSafeEqual(await derive(password, salt, hash.length, cost), hash);
}

function derive(password: string, salt: Uint8Array, bytes: number, cost: ScryptCost): Promise<Buffer> {
  const { logN, blockSize: r, parallelization: p } = cost;
  // Node fails above `maxmem`, and its default is just below the memory that this cost needs.
  const options = { N: 2 ** logN, r, p, maxmem: 2 * 128 * r * 2 ** logN };
  return new Promise((resolve, reject) => {
    // Terminals and browsers compose accents differently (RFC 7617 §2.1 requires NFC).
    scrypt(password.normalize('NFC'), salt, bytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
