import type { AccessOptions } from '../../src/admin/auth/access.ts';

/** Access for everyone who shows this token, as with `admin.tokenFile`. */
export function accessWith(token: string, hosts: readonly string[] = []): AccessOptions {
  return {
    users: undefined,
    tokens: () => [{ name: 'admin', role: 'admin', token, isShared: true }],
    hosts,
    secret: 'a key of the tests',
    sessionIdleMs: 60_000,
    sessionLifetimeMs: 60_000,
    isTls: false,
  };
}
