import { describe, expect, test } from 'vitest';
import { byPattern, byPointer } from '../../../src/health/incarnation.ts';

describe('an incarnation on a health page', () => {
  test('is the match of the capture group', () => {
    const find = byPattern(/started at (\S+)/);
    expect(find('up, started at 2026-11-22T08:00:00Z')).toBe('2026-11-22T08:00:00Z');
    expect(find('up')).toBeUndefined();
    expect(byPattern(/started at (\S*)/)('up, started at ')).toBeUndefined();
  });

  test('is the value at the JSON pointer, if it is text or a number', () => {
    const page = JSON.stringify({
      process: { started: 1_795_000_000, 'a/b': 'x' },
      list: [{ id: 7 }],
      none: null,
      empty: '',
    });
    expect(byPointer(['process', 'started'])(page)).toBe('1795000000');
    expect(byPointer(['process', 'a/b'])(page)).toBe('x');
    expect(byPointer(['list', '0', 'id'])(page)).toBe('7');
    for (const path of [
      ['process'],
      ['none'],
      ['empty'],
      ['none', 'x'],
      ['missing'],
      ['constructor', 'name'],
    ]) {
      expect(byPointer(path)(page)).toBeUndefined();
    }
  });

  test('is missing if the page is not JSON', () => {
    expect(byPointer(['a'])('<html>up</html>')).toBeUndefined();
  });
});
