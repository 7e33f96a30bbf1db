import { accessSync, constants, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Path } from './problem.ts';
import type { CheckContext } from './rule.ts';
import type { ClientTlsConfig, Config, InstanceConfig, RedisConfig, SapControlConfig } from './schema.ts';
import type { SecretUnreadable } from './secrets.ts';
import {
  adminTokenProblems,
  maintenancePageProblems,
  passwordFileProblems,
  reasonOf,
  secretFileProblems,
  tlsFileProblems,
} from './secrets.ts';

/** Checks of the files that options name, and of secrets. */

export function listenerFiles({ listen: { tls } }: Config, _: Path, { error }: CheckContext): void {
  if (tls !== undefined) reportFiles(error, ['listen', 'tls'], tlsFileProblems(tls));
}

export function adminToken({ admin: { tokenFile } }: Config, _: Path, { error }: CheckContext): void {
  if (tokenFile !== undefined) reportFiles(error, ['admin'], adminTokenProblems(tokenFile));
}

export function sapControlPasswords({ passwordFile }: SapControlConfig, { error }: CheckContext): void {
  if (passwordFile !== undefined) reportFiles(error, ['sapcontrol'], passwordFileProblems(passwordFile));
}

/** Checked here so that a reload fails before it replaces a process: only a starting controller creates the socket. */
export function sapControlSocket({ socket }: SapControlConfig, { error }: CheckContext): void {
  const folder = dirname(socket);
  try {
    // The "/" at the end makes access() fail for everything that is not a folder.
    accessSync(`${folder}/`, constants.W_OK | constants.X_OK);
  } catch (cause) {
    error(
      ['sapcontrol', 'socket'],
      `${socket} cannot be created in ${folder}: ${folderReason(cause)}; use a folder that this user may write to`,
    );
    return;
  }
  const found = lstatSync(socket, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket())
    error(['sapcontrol', 'socket'], `${socket} exists and is not a socket; remove it, or use another path`);
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

function reportFiles(error: CheckContext['error'], path: Path, problems: readonly SecretUnreadable[]): void {
  for (const { option, message } of problems) error([...path, option], message);
}
