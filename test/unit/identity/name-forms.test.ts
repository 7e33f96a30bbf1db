import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { KEY_FORMAT, storedKey } from '../../../src/core/stored-name.ts';
import { canonicalUser, USER_NAME_FORM } from '../../../src/core/user-name.ts';
import { session, user } from '../../contract/affinity-store-support.ts';

// Names in whose upper case, normal form or stored form rules differ. Names may be added, and then all digests change.
const NAMES = [
  'AGENT01',
  'agent01',
  '  Agent01\t',
  '\u00a0agent01\u3000',
  '00123',
  'first last',
  'miller@example.com',
  'agent%01',
  'm\u00fcller',
  'mu\u0308ller',
  'stra\u00dfe',
  'STRA\u1e9eE',
  'd\u0131k',
  '\u0130zmir',
  '\u017f',
  '\ufb01t',
  '\u03bb\u03cc\u03b3\u03bf\u03c2',
  '\u1fb3',
  '\u01c6',
  '\u01c5',
  '\u{10428}',
  '\uff41',
  '\u212b',
  '',
  ' ',
  'A\nB',
  'A\u0085B',
  'A\ud800B',
  'x'.repeat(48),
  'x'.repeat(49),
  'x'.repeat(256),
  'x'.repeat(257),
];

/** By number. A released form never changes: another way to make names gets the next number. */
const USER_NAMES: Readonly<Record<number, string>> = {
  1: '1152328d930971e3',
  2: '150d186fe1b244ff',
};
const KEYS: Readonly<Record<number, string>> = { 1: 'aa9e318a7eab4183' };

const digestOf = (texts: readonly (string | undefined)[]): string =>
  hash('sha256', JSON.stringify(texts.map((text) => text ?? null)), 'hex').slice(0, 16);

test('the form of user names has a new number if any name is spelt differently', () => {
  expect(digestOf(NAMES.map(canonicalUser))).toBe(USER_NAMES[USER_NAME_FORM]);
  expect(new Set(Object.values(USER_NAMES)).size).toBe(Object.keys(USER_NAMES).length);
});

test('the form of keys has a new number if any name has another key', () => {
  const keys = NAMES.flatMap((name) => [storedKey(user(name)), storedKey(session(name))]);
  expect(digestOf(keys)).toBe(KEYS[KEY_FORMAT]);
});
