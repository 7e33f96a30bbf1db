import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePattern } from '../../../src/config/pattern.ts';
import { MINIMAL, problemsOf } from './support.ts';

describe('a pattern of an operator', () => {
  // A backtracking engine needs longer than the universe lasts for this page of 41 bytes.
  test.each(['^(\\w+\\s?)*$', '(x+x+)+y', '^(a|a)*$', '(.*)*=(.*)*;'])('%s cannot hang', (text) => {
    const pattern = compilePattern(text);
    const begun = performance.now();
    for (const page of [`${'x'.repeat(40)}!`, `${'a'.repeat(40)}!`, `${'word '.repeat(13_000)}!`]) {
      pattern.test(page);
      pattern.exec(page);
    }
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  test.each([
    ['up(?=,)', '"(?=" looks around'],
    ['up(?!,)', '"(?!" looks around'],
    ['(?<=state:)up', '"(?<=" looks around'],
    ['(?<!not )up', '"(?<!" looks around, which needs backtracking; match the text around it as well'],
    ['(a)\\1', '"\\1" refers back to a group, which needs backtracking; write the text of the group instead'],
    ['(?<n>a)\\k<n>', '"\\k" refers back to a group'],
    ['a{1,1001}', 'invalid repeat count: `{1,1001}`; patterns follow the syntax of RE2'],
    ['(\\w+\\s?){1,1000}', 'takes 7001 steps, but at most 500 are allowed; use smaller counts'],
    ['[', 'is not a valid regular expression'],
  ])('%s is a problem of the configuration, with its place and a remedy', (text, message) => {
    const problems = problemsOf(`${MINIMAL}    health: { bodyMatches: '${text}' }`);
    expect(problems).toEqual([expect.stringContaining(message)]);
    expect(problems[0]).toMatch(/gateway\.yaml:\d+:\d+ pools\[0\]\.health\.bodyMatches: /);
  });

  test.each([
    ['(?<started>\\d+)', 'started 17', '17'],
    ['[(?]([[^\\]]+)[.\\]]', 'x?[^].', '[^]'],
    ['[\\b]([^])[\\u00e9-\\u{ff}]', '\b\né', '\n'],
    // A Windows line end is no part of the value, and a no-break space is a space.
    ['startedAt: (.*)', 'startedAt: 8:00\r\nx', '8:00'],
    ['startedAt:\\s*([^",<\\s]+)', 'startedAt:\u00a08:00\u2009h', '8:00'],
    ['([\\S]+)', '\ufeff\u3000up\u2028', 'up'],
  ])('%s finds the same as in JavaScript', (text, page, found) => {
    expect(compilePattern(text).exec(page)?.[1]).toBe(found);
    expect(new RegExp(text, 'u').exec(page)?.[1]).toBe(found);
  });

  test('always means the same as in JavaScript', () => {
    const item = fc.constantFrom(
      ...[
        'a',
        'b',
        ' ',
        '\\s',
        '\\S',
        '.',
        '\\d',
        '\\w',
        '\\W',
        '\\b',
        '^',
        '$',
        '\\.',
        '\\/',
        '\\u00e9',
        '\\u{1F600}',
      ],
      ...[
        '[a-c]',
        '[^a\\s]',
        '[\\S-]',
        '[^\\S]',
        '[[.(?]',
        '[^]',
        '[\\b\\d]',
        '[\\]^]',
        '\\r',
        '(?:ab|a)',
        '"',
      ],
    );
    const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '*?', '{2}', '{1,3}');
    const sequence = fc.array(fc.tuple(item, quantifier), { minLength: 1, maxLength: 5 });
    const written = sequence.map((parts) =>
      parts.map(([of, times]) => of + (of.length < 3 && /[\^$b]/.test(of) ? '' : times)).join(''),
    );
    const pattern = fc.tuple(written, written, written).map(([a, b, c]) => `${a}(${b})${c}|${c}`);
    const page = fc.array(
      fc.constantFrom(
        'a',
        'b',
        'c',
        '1',
        ' ',
        '\n',
        '\r',
        '\t',
        '\v',
        '\b',
        '.',
        '/',
        '?',
        '(',
        '[',
        ']',
        '"',
        'é',
        '😀',
        '\u00a0',
        '\u2028',
        '\ufeff',
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pattern, page, (text, characters) => {
        const read = characters.join('');
        const found = compilePattern(text).exec(read);
        const expected = new RegExp(text, 'u').exec(read);
        expect(found && [...found]).toEqual(expected && [...expected]);
      }),
      { numRuns: 1_000, seed: 11 },
    );
  });
});
