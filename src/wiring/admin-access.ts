import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type { AccessOptions, AccessToken } from '../admin/auth/access.ts';
import { lacksOf, SHARED_TOKEN } from '../config/rules-admin.ts';
import type { AdminConfig } from '../config/schema.ts';
import { readAdminToken, readAdminUsers } from '../config/secrets.ts';
import type { Logger } from '../telemetry/logger.ts';
import { WatchedFile } from './watched-file.ts';

/**
 * Who may do what at the admin port.
 *
 * @param secret the same for all processes of the gateway
 * @throws SecretUnreadable if the configured users or tokens cannot be read
 */
export function adminAccess(admin: AdminConfig, secret: string, logger: Logger): AccessOptions {
  const watch = <Content>(option: string, path: string, read: () => Content): WatchedFile<Content> =>
    new WatchedFile(path, read, (error) =>
      logger.warn({ option, err: error }, 'a changed file is not valid; its last valid content counts'),
    );
  const { passwordFile, tls, hosts, advertise } = admin;
  const users =
    passwordFile === undefined
      ? undefined
      : watch('admin.passwordFile', passwordFile, () => readAdminUsers(passwordFile));
  const tokens = tokenFiles(admin).map(({ option, file, ...token }) => {
    const text = watch(option, file, () => readAdminToken(file, option));
    return (): AccessToken => ({ ...token, token: text.content });
  });
  return {
    users: users === undefined ? undefined : () => users.content,
    tokens: tokens.length === 0 ? undefined : () => tokens.map((token) => token()),
    hosts: [
      ...hosts,
      hostname(),
      shortName(hostname()),
      ...(advertise === undefined ? [] : [new URL(advertise).hostname]),
    ],
    secret,
    sessionIdleMs: admin.sessionIdle,
    sessionLifetimeMs: admin.sessionLifetime,
    isTls: tls !== undefined,
  };
}

/** Says what the admin port lacks, at the address that it has: a service manager may have chosen another one. */
export function warnIfOpen(admin: AdminConfig, at: AddressInfo | string | null, logger: Logger): void {
  if (at === null || typeof at === 'string') return;
  const lacks = lacksOf(admin, at.address);
  if (lacks !== undefined) logger.warn({ address: at.address, port: at.port }, `the admin port has ${lacks}`);
}

/** `gw1` of `gw1.example.com`, as colleagues type it. */
function shortName(host: string): string {
  return host.split('.', 1)[0] ?? host;
}

interface TokenFile extends Omit<AccessToken, 'token'> {
  readonly option: string;
  readonly file: string;
}

function tokenFiles({ tokens, tokenFile }: AdminConfig): TokenFile[] {
  const named = tokens.map(({ name, role, file }, index) => ({
    name,
    role,
    isShared: false,
    option: `admin.tokens[${index}].file`,
    file,
  }));
  if (tokenFile === undefined) return named;
  return [
    ...named,
    { name: SHARED_TOKEN, role: 'admin', isShared: true, option: 'admin.tokenFile', file: tokenFile },
  ];
}
