import { isLoopback } from '../core/loopback.ts';
import type { Path } from './problem.ts';
import type { CheckContext, Rule } from './rule.ts';
import { listenerTls, reportFiles } from './rules-files.ts';
import type { AdminConfig, Config } from './schema.ts';
import { adminTokenProblems, adminUsersProblems, readAdminUsers } from './secrets.ts';
import { parseAddress } from './syntax.ts';
import { formatDuration } from './units.ts';

/** The rules of the section `admin`. */
export const ADMIN_RULES: readonly Rule<Config>[] = [
  { reads: [['admin', 'tls']], check: certificate },
  { reads: [['admin', 'tokenFile']], check: sharedToken },
  { reads: [['admin', 'passwordFile']], check: users },
  { reads: [['admin', 'tokens']], check: tokens },
  {
    reads: [
      ['admin', 'tokens'],
      ['admin', 'passwordFile'],
    ],
    check: namesDiffer,
  },
  {
    reads: [
      ['admin', 'sessionIdle'],
      ['admin', 'sessionLifetime'],
    ],
    check: idleWithinLifetime,
  },
  { reads: [['admin']], check: openPort },
];

/** The name of the token in `admin.tokenFile`. */
export const SHARED_TOKEN = 'admin';

/**
 * What an admin port lacks that other hosts can reach.
 *
 * @param host a name or an address, without brackets
 */
export function lacksOf({ passwordFile, tokens, tokenFile }: AdminConfig, host: string): string | undefined {
  const isConfigured = passwordFile !== undefined || tokens.length > 0 || tokenFile !== undefined;
  if (isConfigured || host === 'localhost' || isLoopback(host)) return undefined;
  return 'no users and no tokens, so other hosts get only probes and metrics; set admin.passwordFile or admin.tokens';
}

function certificate({ admin: { tls } }: Config, _: Path, context: CheckContext): void {
  if (tls !== undefined) listenerTls(tls, ['admin', 'tls'], context);
}

function sharedToken({ admin: { tokenFile } }: Config, _: Path, { error }: CheckContext): void {
  if (tokenFile !== undefined) reportFiles(error, ['admin'], adminTokenProblems(tokenFile));
}

function users({ admin: { passwordFile } }: Config, _: Path, { error }: CheckContext): void {
  if (passwordFile !== undefined) reportFiles(error, ['admin'], adminUsersProblems(passwordFile));
}

function tokens({ admin }: Config, _: Path, { error }: CheckContext): void {
  for (const [index, { file }] of admin.tokens.entries())
    reportFiles(error, ['admin', 'tokens', index], adminTokenProblems(file, 'file'));
}

/** One name stands for one user or program in the event log. */
function namesDiffer({ admin }: Config, _: Path, { error, warn }: CheckContext): void {
  const { passwordFile, tokenFile } = admin;
  const isReadable = passwordFile !== undefined && adminUsersProblems(passwordFile).length === 0;
  const taken = new Map<string, string>();
  for (const { user } of isReadable ? readAdminUsers(passwordFile) : [])
    taken.set(user, 'that of a user in admin.passwordFile');
  if (tokenFile !== undefined && taken.has(SHARED_TOKEN))
    warn(
      ['admin', 'passwordFile'],
      `has a user ${SHARED_TOKEN}, and the event log calls the token in tokenFile ${SHARED_TOKEN} too; rename the user`,
    );
  taken.set(SHARED_TOKEN, 'that of admin.tokenFile');
  for (const [index, { name }] of admin.tokens.entries()) {
    const other = taken.get(name);
    if (other !== undefined)
      error(['admin', 'tokens', index, 'name'], `is ${name}, and so is ${other}; use another name`);
    taken.set(name, `that of tokens[${index}]`);
  }
}

function idleWithinLifetime({ admin }: Config, _: Path, { error }: CheckContext): void {
  const { sessionIdle, sessionLifetime } = admin;
  if (sessionIdle > sessionLifetime)
    error(
      ['admin', 'sessionIdle'],
      `is ${formatDuration(sessionIdle)}, longer than sessionLifetime (${formatDuration(sessionLifetime)}); make it shorter`,
    );
}

function openPort({ admin }: Config, _: Path, { warn }: CheckContext): void {
  const lacks = lacksOf(admin, parseAddress(admin.address)?.host ?? '');
  if (lacks !== undefined) warn(['admin', 'address'], `is ${admin.address}, and has ${lacks}`);
}
