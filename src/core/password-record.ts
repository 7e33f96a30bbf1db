import type { Role } from './role.ts';
import { isRole, ROLES } from './role.ts';

/**
 * One line of a password file: a user and the hash of the password. The hash has the PHC string format
 * (github.com/P-H-C/phc-string-format): `$scrypt$ln=15,r=8,p=3$salt$hash`. So each line has its own cost.
 */
export interface PasswordRecord {
  readonly user: string;
  /** What the user may do at the admin port; `undefined` in lines for SAPControl. */
  readonly role: Role | undefined;
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** A user of the admin port. */
export type AdminUser = PasswordRecord & { readonly role: Role };

/** Parameters of scrypt (RFC 7914 §2): N is 2 to the power of `logN`. It takes 128 · N · `blockSize` bytes. */
export interface ScryptCost {
  readonly logN: number;
  readonly blockSize: number;
  readonly parallelization: number;
}

// Every login attempt pays the cost in the file, so the cost has an upper bound: 128 MB, about a second. Below the
// lower bound a stolen file is soon cracked.
const MIN_LOG_N = 14;
const MAX_LOG_N = 17;
const MAX_BLOCK_SIZE = 8;
const MAX_PARALLELIZATION = 4;

// A user name cannot hold a colon in Basic authentication (RFC 7617 §2).
const LINE =
  /^([^\s:][^:]{0,127}):(?:([a-z]+):)?\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/-]{11,86})\$([\w+/-]{22,86})$/;

export interface PasswordFile {
  readonly records: readonly PasswordRecord[];
  /** The problems by line; none of them repeats a hash. */
  readonly problems: readonly string[];
}

/** Parses a password file. Empty lines and lines that start with `#` are ignored. */
export function parsePasswordFile(text: string): PasswordFile {
  const records: PasswordRecord[] = [];
  const problems: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const record = parseLine(line.trim());
    if (typeof record === 'string') problems.push(`line ${index + 1} ${record}`);
    else if (records.some(({ user }) => user === record.user))
      problems.push(`line ${index + 1} is for ${record.user}, who has a line already; remove one of the two`);
    else records.push(record);
  }
  return { records, problems };
}

export function formatPasswordLine({ user, role, cost, salt, hash }: PasswordRecord): string {
  const { logN, blockSize, parallelization } = cost;
  const names = role === undefined ? user : `${user}:${role}`;
  return `${names}:$scrypt$ln=${logN},r=${blockSize},p=${parallelization}$${encode(salt)}$${encode(hash)}`;
}

/** True if the text can stand before the colon. */
export function isUserName(text: string): boolean {
  return /^[^\s:\p{Cc}#][^:\p{Cc}]{0,127}$/u.test(text) && text.trim() === text;
}

function parseLine(line: string): PasswordRecord | string {
  const match = LINE.exec(line);
  const user = match?.[1] ?? '';
  if (match === null || !isUserName(user))
    return 'is not user:$scrypt$…; make one with: ici-gateway hash-password USER';
  const role = match[2];
  if (role !== undefined && !isRole(role))
    return `has a role other than ${ROLES.join(', ')}; make it again with: ${remedyFor(user, 'ROLE')}`;
  const cost = { logN: Number(match[3]), blockSize: Number(match[4]), parallelization: Number(match[5]) };
  if (!isAllowedCost(cost))
    return `has a cost outside ln=${MIN_LOG_N}…${MAX_LOG_N}, r=1…${MAX_BLOCK_SIZE}, p=1…${MAX_PARALLELIZATION}; make it again with: ${remedyFor(user, role)}`;
  return { user, role, cost, salt: decode(match[6]), hash: decode(match[7]) };
}

function remedyFor(user: string, role: string | undefined): string {
  return `ici-gateway hash-password ${user}${role === undefined ? '' : ` --role ${role}`}`;
}

function isAllowedCost({ logN, blockSize, parallelization }: ScryptCost): boolean {
  return (
    logN >= MIN_LOG_N &&
    logN <= MAX_LOG_N &&
    blockSize >= 1 &&
    blockSize <= MAX_BLOCK_SIZE &&
    parallelization >= 1 &&
    parallelization <= MAX_PARALLELIZATION
  );
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}

function decode(text = ''): Uint8Array {
  return Buffer.from(text, 'base64');
}
