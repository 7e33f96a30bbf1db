import { pino } from 'pino';
import { expect, test } from 'vitest';
import { showHidden } from '../../../src/core/hidden-characters.ts';
import { loggerOptions } from '../../../src/telemetry/logger.ts';

test.each([
  ['a zero-width space', 'MIL\u200bLER', 'MIL\\u200bLER'],
  ['a change of direction', '\u202eRELLIM', '\\u202eRELLIM'],
  ['a byte order mark', '\ufeffA', '\\ufeffA'],
  ['a soft hyphen', 'A\u00adB', 'A\\u00adB'],
  ['a separator of lines', 'A\u2028B', 'A\\u2028B'],
  ['a C1 control character', 'A\u009bB', 'A\\u009bB'],
  ['a tag, which takes two units', '\u{e0041}', '\\udb40\\udc41'],
])('%s is written as its number', (_what, text, shown) => {
  expect(showHidden(text)).toBe(shown);
  const json = JSON.stringify({ user: text });
  expect(showHidden(json)).toBe(JSON.stringify({ user: 'X' }).replace('X', shown));
  expect(JSON.parse(showHidden(json))).toEqual({ user: text });
});

test.each(['MÜLLER-LÜDENSCHEIDT 山田', 'Ελένη', 'ندى', '🙂'])('%s stays as it is', (text) => {
  expect(showHidden(text)).toBe(text);
});

test('the log shows hidden characters', () => {
  const lines: string[] = [];
  pino(loggerOptions('info'), { write: (line) => lines.push(line) }).info({ user: 'A\u202eB' }, 'request');
  expect(lines[0]).toContain('"user":"A\\u202eB"');
});
