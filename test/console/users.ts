import { randomBytes, scryptSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';

/** The users of the tests, with their roles. */
export const ROLE_OF = { vera: 'viewer', otto: 'operator', ada: 'admin' } as const;
export type UserName = keyof typeof ROLE_OF;

export const passwordOf = (user: string): string => `password-of-${user}`;

/** Writes a password file with these users, at the lowest cost that a gateway accepts. */
export function writePasswordFile(path: string, users: readonly UserName[]): void {
  writeFileSync(path, users.map((user) => `${lineOf(user)}\n`).join(''), { mode: 0o600 });
}

const lines = new Map<UserName, string>();

/** The same each time: a new line is a new password, which ends the sessions of the user. */
function lineOf(user: UserName): string {
  const line = lines.get(user) ?? newLine(user);
  lines.set(user, line);
  return line;
}

function newLine(user: UserName): string {
  const salt = randomBytes(16);
  const hash = scryptSync(passwordOf(user), salt, 32, { N: 2 ** 14, r: 8, p: 1, maxmem: 2 ** 26 });
  return `${user}:${ROLE_OF[user]}:$scrypt$ln=14,r=8,p=1$${encode(salt)}$${encode(hash)}`;
}

function encode(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
