import { hash } from 'node:crypto';
import type { Name } from './identity.ts';
import { nameKey } from './identity.ts';

// Longer names would push their bucket out of Redis's compact encoding, whose limit is 64 bytes a field.
const LONGEST_READABLE = 48;
const DIGEST = /^~[A-Za-z0-9_-]{21}[AQgw]$/;
const INCARNATION = /^[A-Za-z0-9_.:+-]{0,40}$/;

/** Changes with the form of stored names: gateways with different forms would not find each other's bindings. */
export const KEY_FORMAT = 1;

/** 16 bytes of SHA-256, which no two names of a pool will ever share by chance, in base64url. */
function digest(value: string): string {
  return hash('sha256', value, 'buffer').subarray(0, 16).toString('base64url');
}

/**
 * The form in which a store keeps and tells a name.
 *
 * A session value is a credential, so only its digest leaves the process; very
 * long names are digested to bound the store. Other names stay readable. A name
 * already in stored form is returned as it is, so names that a store told can be
 * given back to it.
 */
export function storedForm(name: Name): Name {
  if (name.kind !== 'session' && name.value.length <= LONGEST_READABLE) return name;
  if (DIGEST.test(name.value)) return name;
  return { kind: name.kind, value: `~${digest(name.value)}` };
}

/** The key of a name in its stored form. */
export function storedKey(name: Name): string {
  const stored = storedForm(name);
  return nameKey(stored.kind, stored.value);
}

/**
 * A short text that stands for one life of an instance, whatever its health page
 * calls it. Whoever compares incarnations must compare compact ones. Compact
 * text stays as it is.
 */
export function compactIncarnation(raw: string): string {
  return INCARNATION.test(raw) ? raw : digest(raw);
}
