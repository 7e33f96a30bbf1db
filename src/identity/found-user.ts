import type { JudgeValue } from '../soap/findings.ts';
import { canonicalUser } from './user-name.ts';

/** Why a value is not used as a name; the `reason` of a metric. */
export type Refusal = 'wildcard' | 'space' | 'url' | 'telephone' | 'length' | 'characters' | 'pattern';

const WILDCARD = /[*?]/;
const SPACE = /\s/;
// With a plus sign, or in groups. A bare number may be the personnel number that an agent goes by.
const TELEPHONE = /^(?:tel:.*|\+[\d ()./-]*\d[\d ()./-]*|\(?\d+\)?(?:[ ()./-]+\d+)+)$/i;

/**
 * What may stand where the body of a request names a user and is not the name of
 * one: what is searched for, an address, a number that is called. Only users are
 * judged so, and only those that are found: the values of sessions are opaque, and
 * may look like anything.
 */
export function refusalOf(value: string): Refusal | undefined {
  if (WILDCARD.test(value) || value === '%') return 'wildcard';
  if (value.includes('://')) return 'url';
  if (TELEPHONE.test(value)) return 'telephone';
  if (SPACE.test(value)) return 'space';
  return undefined;
}

/** @param pattern that a whole user name must match */
export function judgeFound(pattern: { test(text: string): boolean } | undefined): JudgeValue {
  return (kind, value) => {
    if (kind === 'session') return undefined;
    const refusal = refusalOf(value);
    if (refusal !== undefined) return refusal;
    const name = canonicalUser(value);
    if (name === undefined) return 'characters';
    return pattern === undefined || pattern.test(name) ? undefined : 'pattern';
  };
}
