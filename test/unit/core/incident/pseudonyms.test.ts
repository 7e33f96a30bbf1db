import { describe, expect, test } from 'vitest';
import { Pseudonyms } from '../../../../src/core/incident/pseudonyms.ts';

const KEY = Buffer.from('key');

function known(...names: string[]): Pseudonyms {
  const pseudonyms = new Pseudonyms(KEY, ['ici', 'gw-a1']);
  for (const name of names) pseudonyms.know(name);
  return pseudonyms;
}

describe('the pseudonyms of an archive', () => {
  test('are the same for a name in every spelling and place, and others under another key', () => {
    const names = known('MILLER');
    const { why, list } = names.json({ why: 'miller, Miller. user:MILLER', list: ['MILLER'] }) as {
      readonly why: string;
      readonly list: readonly string[];
    };
    const [pseudonym = ''] = list;
    expect(pseudonym).toMatch(/^name-[\w-]{12}$/);
    expect(why).toBe(`${pseudonym}, ${pseudonym}. user:${pseudonym}`);
    const other = new Pseudonyms(Buffer.from('other'), []);
    other.know('MILLER');
    expect(other.text('MILLER')).not.toBe(pseudonym);
  });

  test.each([
    ['CORP\\MILLER', 'asked CORP\\MILLER.'],
    ['anna.miller@example.com', 'mail to anna.miller@example.com, please'],
    ['Änne', 'was änne there?'],
    ['MILLER', 'MILLER-b and smith'],
    ['Anna Miller', 'Anna Miller called'],
    ['10.0.0.7', 'from 10.0.0.7:4711'],
  ])('replace %s in “%s”', (name, text) => {
    const shown = known(name).text(text);
    expect(shown).toContain('name-');
    expect(shown.toUpperCase()).not.toContain(name.toUpperCase());
  });

  test('of a token that says who holds it replace both names', () => {
    const shown = known('ci-token (says jones)').text('ci-token (says jones)');
    expect(shown).toMatch(/^name-\S{12} \(says name-\S{12}\)$/);
  });

  test('spare what is no person, parts of words, short names in texts, and words of the gateway', () => {
    const names = known('ici', 'a', 'DOWN', 'MILLER');
    expect(names.text('pool ici: a is MILLERS, a_MILLER')).toBe('pool ici: a is MILLERS, a_MILLER');
    expect(names.json({ health: 'down', kind: 'down' })).toEqual({ health: 'down', kind: 'down' });
    expect(names.json({ name: 'a' })).toEqual({ name: expect.stringMatching(/^name-/) });
  });
});
