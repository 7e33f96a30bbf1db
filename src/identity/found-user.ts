import { canonicalUser } from '../core/user-name.ts';
import type { CheckValue } from '../soap/findings.ts';

/** Why a value is not used as a name; the `reason` of a metric. */
export type Refusal =
  | 'wildcard'
  | 'space'
  | 'url'
  | 'telephone'
  | 'semicolon'
  | 'length'
  | 'characters'
  | 'pattern'
  | 'conflict'; // a session that came with another one

const WILDCARD = /[*?]/;
const SPACE = /\s/;
// With a plus sign or in groups of digits. A bare number may be an agent's personnel number.
const TELEPHONE = /^(?:tel:.*|\+[\d ()./-]*\d[\d ()./-]*|\(?\d+\)?(?:[ ()./-]+\d+)+)$/i;

/**
 * Says why a value that a body holds in the place of a user is not a user's name: a search pattern, an address, a
 * telephone number. Only users found in bodies are checked, because session ids are opaque and may look like anything.
 */
export function refusalOf(value: string): Refusal | undefined {
  if (WILDCARD.test(value) || value === '%') return 'wildcard';
  if (value.includes('://')) return 'url';
  if (TELEPHONE.test(value)) return 'telephone';
  // Several texts in one, such as the `id;password;device` of a work center, which no log may show.
  if (value.includes(';')) return 'semicolon';
  if (SPACE.test(value)) return 'space';
  return undefined;
}

/** @param pattern the pattern that a whole user name must match */
export function foundUserCheck(pattern: { test(text: string): boolean } | undefined): CheckValue {
  return (kind, value) => {
    if (kind === 'session') return undefined;
    const refusal = refusalOf(value);
    if (refusal !== undefined) return refusal;
    const name = canonicalUser(value);
    if (name === undefined) return 'characters';
    return pattern === undefined || pattern.test(name) ? undefined : 'pattern';
  };
}
