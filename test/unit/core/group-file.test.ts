import { describe, expect, test } from 'vitest';
import { AgentGroups } from '../../../src/core/agent-groups.ts';
import { parseGroupFile, tooLarge } from '../../../src/core/group-file.ts';

const problemsOf = (text: string): readonly string[] => parseGroupFile(text).problems;

describe('a file of groups', () => {
  test('gives the group of each user, by the name that requests are compared with, and its size', () => {
    const { groups, problems } = parseGroupFile(
      '\uFEFF# teams of the night\r\nmiller;Sales \n Smith ;Sales\n\nJONES;a;b\n',
    );

    expect(problems).toEqual([]);
    expect([...groups]).toEqual([
      ['MILLER', { name: 'Sales', size: 2 }],
      ['SMITH', { name: 'Sales', size: 2 }],
      ['JONES', { name: 'a;b', size: 1 }],
    ]);
    expect(tooLarge(groups, 1)).toEqual([{ name: 'Sales', size: 2 }]);
  });

  test('names the line of each problem, and what to do', () => {
    expect(problemsOf('MILLER\n;sales\nSMITH;  \nA;b\u200bc\nJONES;x\njones;y')).toEqual([
      'line 1 has no ";"; write user;group, such as MILLER;sales',
      'line 2 has no user name that a request can have before the ";"; write user;group',
      'line 3 has no group of 1 to 64 characters after the ";"; write one, or remove the line',
      'line 4 has no group of 1 to 64 characters after the ";"; write one, or remove the line',
      'line 6 is for JONES, as is line 5; remove one of the two',
    ]);
    expect(problemsOf('# nothing yet\n')).toEqual([
      'has no line; write one such as MILLER;sales for each user',
    ]);
  });

  test('shows ten problems, and no more than 100,000 lines are read', () => {
    expect(problemsOf('x\n'.repeat(15))).toHaveLength(11);
    expect(problemsOf('x\n'.repeat(15)).at(-1)).toBe('and 5 more lines');
    expect(problemsOf('A;b\n'.repeat(100_001))).toEqual([
      'has more than 100000 lines; name users by patterns',
    ]);
  });
});

test('the file comes before the patterns, of which the first counts, and these come before the header', () => {
  const { groups } = parseGroupFile('MILLER;file');
  const agents = new AgentGroups({
    file: () => groups,
    patterns: [
      { users: /^M/, group: 'first' },
      { users: /^MA/, group: 'second' },
    ],
    header: 'team',
  });

  expect(agents.of('MILLER', 'header')).toEqual({ name: 'file', size: 1 });
  expect(agents.of('MAIER', 'header')).toEqual({ name: 'first', size: 0 });
  expect(agents.of('SMITH', ' header ')).toEqual({ name: 'header', size: 0 });
  expect(agents.of(undefined, 'header')).toEqual({ name: 'header', size: 0 });
  expect(agents.of('SMITH', '')).toBeUndefined();
  expect(agents.of('SMITH', undefined)).toBeUndefined();
});
