import { accessSync, constants, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { alikeGroups, tooLarge } from '../core/group-file.ts';
import type { Path } from './problem.ts';
import type { CheckContext } from './rule.ts';
import type {
  ClientTlsConfig,
  Config,
  InstanceConfig,
  ListenerTlsConfig,
  PoolConfig,
  RedisConfig,
  SapControlConfig,
} from './schema.ts';
import type { SecretUnreadable } from './secrets.ts';
import {
  groupFileProblems,
  maintenancePageProblems,
  passwordFileProblems,
  readGroupFile,
  reasonOf,
  secretFileProblems,
  tlsFileProblems,
} from './secrets.ts';

/** Checks of the files that options name, and of secrets. */

export function listenerFiles({ listen: { tls } }: Config, _: Path, context: CheckContext): void {
  if (tls !== undefined) listenerTls(tls, ['listen', 'tls'], context);
}

export function listenerTls(tls: ListenerTlsConfig, path: Path, { error }: CheckContext): void {
  reportFiles(error, path, tlsFileProblems(tls));
}

export function sapControlPasswords({ passwordFile }: SapControlConfig, { error }: CheckContext): void {
  if (passwordFile !== undefined) reportFiles(error, ['sapcontrol'], passwordFileProblems(passwordFile));
}

/** Warnings, because monitoring must not keep traffic from starting: the gateway tries again to create the socket. */
export function sapControlSocket({ socket }: SapControlConfig, { warn }: CheckContext): void {
  const folder = dirname(socket);
  try {
    // The "/" at the end makes access() fail for everything that is not a folder.
    accessSync(`${folder}/`, constants.W_OK | constants.X_OK);
  } catch (cause) {
    warn(
      ['sapcontrol', 'socket'],
      `${socket} cannot be created in ${folder}: ${folderReason(cause)}; use a folder that this user may write to`,
    );
    return;
  }
  const found = lstatSync(socket, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket())
    warn(
      ['sapcontrol', 'socket'],
      `${socket} exists and is not a socket (it belongs to uid ${found.uid}); remove it, or use another path`,
    );
}

function folderReason(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such folder';
  return code === 'ENOTDIR' ? 'it is not a folder' : reasonOf(cause);
}

export function maintenancePage(
  { maintenance: { pageFile } }: Config,
  _: Path,
  { error }: CheckContext,
): void {
  if (pageFile !== undefined) reportFiles(error, ['maintenance'], maintenancePageProblems(pageFile));
}

export function redisCredentials(
  { passwordFile, sentinelPasswordFile, username }: RedisConfig,
  url: URL | undefined,
  path: Path,
  { error }: CheckContext,
): void {
  if (passwordFile !== undefined) {
    if (url !== undefined && url.password !== '')
      error([...path, 'passwordFile'], 'is set, and the url has a password too; remove the one in the url');
    reportFiles(error, path, secretFileProblems('passwordFile', passwordFile));
  }
  if (sentinelPasswordFile !== undefined)
    reportFiles(error, path, secretFileProblems('sentinelPasswordFile', sentinelPasswordFile));
  if (username !== undefined && url !== undefined && url.username !== '')
    error([...path, 'username'], 'is set, and the url has a user too; remove the one in the url');
}

export function instanceTls({ id, tls }: InstanceConfig, at: Path, context: CheckContext): void {
  if (tls !== undefined) clientTls(tls, [...at, 'tls'], `instance "${id}"`, context);
}

export function clientTls(
  tls: ClientTlsConfig,
  path: Path,
  peer: string,
  { error, warn }: CheckContext,
): void {
  if (!tls.verify)
    warn(
      [...path, 'verify'],
      `is false: the certificate of ${peer} is not checked, so anyone on the way can pose as it`,
    );
  if (tls.certFile === undefined && tls.keyFile !== undefined)
    error(path, 'has keyFile but no certFile; set both');
  if (tls.certFile !== undefined && tls.keyFile === undefined)
    error(path, 'has certFile but no keyFile; set both');
  reportFiles(error, path, tlsFileProblems(tls));
}

/** Options of groups work in a sticky pool, the file can be read, and its groups fit an instance. */
export function groupsFit(pool: PoolConfig, at: Path, { given, error, warn }: CheckContext): void {
  const { mode, groups, instances } = pool;
  if (mode === 'failover') {
    const inert = [
      ...['file', 'patterns', 'header'].map((option) => [...at, 'groups', option]),
      ...instances.map((_, index) => [...at, 'instances', index, 'maxAgents']),
    ];
    for (const path of inert)
      if (given(path)) warn(path, 'has no effect in a failover pool; remove it, or set mode to sticky');
    return;
  }
  if (groups.file === undefined) return;
  const problems = groupFileProblems(groups.file);
  reportFiles(error, [...at, 'groups'], problems);
  if (problems.length > 0) return;
  const most = Math.max(...instances.map(({ maxAgents = Infinity }) => maxAgents));
  const content = readGroupFile(groups.file);
  for (const [one, other] of alikeGroups(content))
    warn(
      [...at, 'groups', 'file'],
      `${groups.file}: the groups ${one} and ${other} differ only in upper and lower case, and so are two groups; write them alike if they are one`,
    );
  for (const { name, size } of tooLarge(content, most))
    warn(
      [...at, 'groups', 'file'],
      `${groups.file}: the group ${name} has ${size} users, more than maxAgents of any instance (${most}); it is placed where most room is: split it, or raise maxAgents`,
    );
}

export function reportFiles(
  error: CheckContext['error'],
  path: Path,
  problems: readonly SecretUnreadable[],
): void {
  for (const { option, message } of problems) error([...path, option], message);
}
