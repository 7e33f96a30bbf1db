import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalUser, decodeHeaderValue } from '../../../src/core/user-name.ts';

const between = (min: number, max: number): fc.Arbitrary<string> =>
  fc.integer({ min, max }).map((codePoint) => String.fromCodePoint(codePoint));
// Any character, and often one that has a case or is composed. The units of fast-check that have them build a table of
// all of Unicode at first, which takes a second.
const CHARACTER = fc.oneof(
  between(0x20, 0x24f),
  between(0x300, 0x3ff),
  between(0x1e00, 0x1fff),
  between(0xac00, 0xd7a3),
  between(0, 0xd7ff),
  between(0xe000, 0x10ffff),
);

describe('a user name', () => {
  test.each([
    ['AGENT01', 'AGENT01'],
    ['agent01', 'AGENT01'],
    ['  Agent01\t', 'AGENT01'],
    ['00123', '00123'],
    ['m\u00fcller', 'M\u00dcLLER'],
    ['mu\u0308ller', 'M\u00dcLLER'],
    ['strasse', 'STRASSE'],
    // These would become two names, or the name of another user.
    ['stra\u00dfe', 'STRA\u00dfE'],
    ['d\u0131k', 'D\u0131K'],
    ['\u017f', '\u017f'],
    ['\ufb01t', '\ufb01T'],
    ['first last', 'FIRST LAST'],
    ['x'.repeat(256), 'X'.repeat(256)],
  ])('%j is compared as %j', (raw, canonical) => {
    expect(canonicalUser(raw)).toBe(canonical);
  });

  test.each([
    ['nothing', ''],
    ['white space', ' \u00a0\t'],
    ['more than 256 characters', 'x'.repeat(257)],
    ['a megabyte', 'x'.repeat(1 << 20)],
    ['a line break', 'A\nB'],
    ['a NUL', 'A\u0000'],
    ['a C1 control character', 'A\u0085B'],
    ['half a surrogate pair', 'A\ud800B'],
  ])('cannot be %s', (_what, raw) => {
    expect(canonicalUser(raw)).toBeUndefined();
  });

  test('has one canonical form, whatever its spelling', () => {
    fc.assert(
      fc.property(fc.string({ unit: CHARACTER, maxLength: 40 }), (raw) => {
        const canonical = canonicalUser(raw);
        if (canonical === undefined) return;
        expect(canonicalUser(canonical)).toBe(canonical);
        expect(canonicalUser(raw.normalize('NFD'))).toBe(canonical);
      }),
      { seed: 1640673, numRuns: 500 },
    );
  });
});

describe('a header value', () => {
  test('is the same name in UTF-8, in Latin-1 and in a body', () => {
    const asNodeGivesIt = (bytes: Buffer) => bytes.toString('latin1');
    expect(decodeHeaderValue(asNodeGivesIt(Buffer.from('MÜLLER', 'utf8')))).toBe('MÜLLER');
    expect(decodeHeaderValue(asNodeGivesIt(Buffer.from('MÜLLER', 'latin1')))).toBe('MÜLLER');
    expect(decodeHeaderValue('MILLER')).toBe('MILLER');
  });

  test('stays unchanged if it is already decoded', () => {
    expect(decodeHeaderValue('\u00c3\u00bc\u4e2d')).toBe('\u00c3\u00bc\u4e2d');
  });
});
