import { describe, expect, test } from 'vitest';
import { foundUserCheck, refusalOf } from '../../../src/identity/found-user.ts';

describe('a user name found in a body', () => {
  test.each([
    ['*', 'wildcard'],
    ['MIL*', 'wildcard'],
    ['MIL?ER', 'wildcard'],
    ['%', 'wildcard'],
    ['http://crmapp1.example.com/sap', 'url'],
    ['first last', 'space'],
    ['A\u00a0B', 'space'],
    ['+49301234567', 'telephone'],
    ['+49 (30) 123-45', 'telephone'],
    ['030/1234567', 'telephone'],
    ['(030) 1234567', 'telephone'],
    ['tel:4711', 'telephone'],
    ['4711;Passw0rd;2001', 'semicolon'],
  ])('%s does not count, for its %s', (value, reason) => {
    expect(refusalOf(value)).toBe(reason);
    expect(foundUserCheck(undefined)('user', value)).toBe(reason);
    // The format of sessions is not known.
    expect(foundUserCheck(undefined)('session', value)).toBeUndefined();
  });

  test.each([
    'MILLER',
    '00123456',
    'agent%01',
    'miller@example.com',
    'A-1/2',
    'M\u00dcLLER',
    'x'.repeat(256),
    '+',
  ])('%s may be a user', (value) => {
    expect(foundUserCheck(undefined)('user', value)).toBeUndefined();
  });

  test('text with characters that no name has does not count', () => {
    expect(foundUserCheck(undefined)('user', 'A\u0085B')).toBe('characters');
  });

  test('a configured pattern narrows it down', () => {
    const check = foundUserCheck(/^(?:AG\d+)$/);
    expect(check('user', 'ag17')).toBeUndefined();
    expect(check('user', 'AG17X')).toBe('pattern');
    expect(check('session', 'X')).toBeUndefined();
  });
});
