import { createHmac, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import type { Name } from '../core/identity.ts';
import { storedForm } from '../core/stored-name.ts';

/** The name of this gateway among its peers. It is new at every start, because the gateway has lost what it knew. */
export function replicaName({ coordination }: Config): string {
  return `${(coordination.replica ?? hostname()).slice(0, 50)}-${randomBytes(3).toString('hex')}`;
}

/**
 * How names appear in logs. Equal names have equal hashes within one run of the gateway. Without its key, hashes do not
 * reveal names.
 *
 * @param key shared by all processes of the gateway
 */
export function nameDisplay(
  names: 'readable' | 'hashed',
  key: string | Buffer = randomBytes(32),
): (name: string) => string {
  if (names === 'readable') return (name) => name;
  return (name) => createHmac('sha256', key).update(name).digest('base64url').slice(0, 12);
}

/** A session value opens the session to anyone who reads it, so its stored form, a digest, is shown instead. */
export function displayed(name: Name, showName: (name: string) => string): string {
  return `${name.kind}:${name.kind === 'session' ? storedForm(name).value : showName(name.value)}`;
}
