import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AMBIGUOUS, cookieValue, FORBIDDEN, TOO_LONG } from '../../../src/identity/header-identity.ts';

const NAME = 'WS_SESSION_ID';

describe('a cookie', () => {
  test.each([
    ['alone', 'WS_SESSION_ID=a', 'a'],
    ['first', 'WS_SESSION_ID=a; x=y', 'a'],
    ['last', 'x=y; WS_SESSION_ID=a', 'a'],
    ['without a space behind the semicolon', 'x=y;WS_SESSION_ID=a;z=1', 'a'],
    ['with white space around', 'x=y ;\tWS_SESSION_ID = a ; z=1', 'a'],
    ['twice with one value', 'WS_SESSION_ID=a; x=y; WS_SESSION_ID=a', 'a'],
    ['behind an empty one', 'WS_SESSION_ID=; WS_SESSION_ID=a', 'a'],
    ['behind a bare name', 'WS_SESSION_ID; WS_SESSION_ID=a', 'a'],
  ])('is found %s', (_where, header, value) => {
    expect(cookieValue(header, NAME)).toBe(value);
  });

  test.each([
    'SID%3aANON%3acrmapp1_CRP_00%3aXkq3...-NEW',
    'a==',
    '"quoted"',
    'a=b=c',
    'a%20b+c/d_e:f.g',
    'a, b',
    'x'.repeat(4096),
  ])('is opaque: %j is returned unchanged', (value) => {
    expect(cookieValue(`x=1; ${NAME}=${value}; y=2`, NAME)).toBe(value);
  });

  test.each([
    ['of another case', 'ws_session_id=a'],
    ['whose name merely ends like it', 'XWS_SESSION_ID=a; X-WS_SESSION_ID=b'],
    ['whose name merely begins like it', 'WS_SESSION_ID2=a'],
    ['inside the value of another', 'x=WS_SESSION_ID=a; y="WS_SESSION_ID=b"'],
    ['with an empty value', 'WS_SESSION_ID=; x=y'],
    ['that has no value at all', 'WS_SESSION_ID'],
    ['in an empty header', ''],
  ])('%s is ignored', (_what, header) => {
    expect(cookieValue(header, NAME)).toBeUndefined();
  });

  test('with a value of 4097 characters is too long, unless a usable one comes with it', () => {
    expect(cookieValue(`WS_SESSION_ID=${'x'.repeat(4097)}`, NAME)).toBe(TOO_LONG);
    expect(cookieValue(`WS_SESSION_ID=${'x'.repeat(4097)}; WS_SESSION_ID=a`, NAME)).toBe('a');
  });

  test('with two values is ambiguous', () => {
    expect(cookieValue('WS_SESSION_ID=a; x=y; WS_SESSION_ID=b', NAME)).toBe(AMBIGUOUS);
    expect(cookieValue('WS_SESSION_ID=a;WS_SESSION_ID=A', NAME)).toBe(AMBIGUOUS);
  });

  test('is the same as after splitting the header at its semicolons', () => {
    const piece = fc.stringMatching(/^[AB=; \t"]{0,8}$/);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(piece, fc.constantFrom('A=', ';A=', 'A=B', '; ')), { maxLength: 8 }),
        (pieces) => {
          const header = pieces.join('');
          const values = new Set(
            header
              .split(';')
              .map((pair) => /^[ \t]*A[ \t]*=[ \t]*(.*?)[ \t]*$/.exec(pair)?.[1])
              .filter((value) => value !== undefined && value !== ''),
          );
          const usable = [...values].filter((value) => !value?.includes('\t'));
          const unusable = values.size > 0 ? FORBIDDEN : undefined;
          const expected = usable.length > 1 ? AMBIGUOUS : (usable[0] ?? unusable);
          expect(cookieValue(header, 'A')).toBe(expected);
        },
      ),
      { seed: 6265, numRuns: 3000 },
    );
  });
});
