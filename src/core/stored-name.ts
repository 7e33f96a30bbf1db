import { hash } from 'node:crypto';
import type { Name } from './identity.ts';
import { nameKey } from './identity.ts';

// Longer names would push their bucket out of Redis's compact encoding, which allows 64 bytes per field.
const LONGEST_READABLE = 48;
const DIGEST = /^~[A-Za-z0-9_-]{21}[AQgw]$/;
const INCARNATION = /^[A-Za-z0-9_.:+-]{0,40}$/;

/** Changes with the form of stored names: gateways with different forms would not find each other's bindings. */
export const KEY_FORMAT = 1;

/** One request looks a name up, claims it and caches it, and each time its digest is needed. */
const digests = new Map<string, string>();
const MOST_DIGESTS = 1_000;

/** 16 bytes of SHA-256 in base64url; two names of a pool will never collide by chance. */
function digest(value: string): string {
  const known = digests.get(value);
  if (known !== undefined) return known;
  const text = hash('sha256', value, 'buffer').subarray(0, 16).toString('base64url');
  if (digests.size >= MOST_DIGESTS) digests.clear();
  digests.set(value, text);
  return text;
}

/**
 * The form of a name in the store.
 *
 * A session value is a credential, so only its digest leaves the process. Very long names are digested to bound the
 * store's size. Other names stay readable. A name in stored form is returned unchanged, so names from the store can
 * be passed back to it.
 */
export function storedForm(name: Name): Name {
  if (name.kind !== 'session' && name.value.length <= LONGEST_READABLE) return name;
  if (DIGEST.test(name.value)) return name;
  return { kind: name.kind, value: `~${digest(name.value)}` };
}

/**
 * The value of a name that a request sends. A value in the form of a digest is digested like any other here, because
 * {@link storedForm} keeps it: logs and listings show digests, and a request that sends one must not lead to that agent.
 */
export function valueAsSent(value: string): string {
  return DIGEST.test(value) ? `~${digest(value)}` : value;
}

/** The key of a name in its stored form. */
export function storedKey(name: Name): string {
  const stored = storedForm(name);
  return nameKey(stored.kind, stored.value);
}

/**
 * A short text for one incarnation of an instance, whatever its health page shows. Only compact incarnations may be
 * compared with each other. Compact text is returned unchanged.
 */
export function compactIncarnation(raw: string): string {
  return INCARNATION.test(raw) ? raw : digest(raw);
}
