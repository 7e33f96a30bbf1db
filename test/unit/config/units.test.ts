import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../src/config/units.ts';

describe('durations', () => {
  test.each([
    ['250ms', 250],
    ['2s', 2000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['12h', 43_200_000],
    ['1d', 86_400_000],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '5', 's', '5 s', '5S', '-1s', '1s2', '1e3s', '.5s', '5.s', '5w'])(
    '%j is no duration',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test('a formatted duration is parsed back to the same milliseconds', () => {
    fc.assert(
      fc.property(fc.nat(1e12), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

describe('sizes', () => {
  test.each([
    ['512', 512],
    ['1B', 1],
    ['64KB', 65_536],
    ['1.5KB', 1536],
    ['50MB', 52_428_800],
    ['1GB', 1_073_741_824],
  ])('%s is %i bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', 'KB', '1kb', '1 KB', '-1', '1TB', '1K'])('%j is no size', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  test('a formatted size is parsed back to the same bytes', () => {
    fc.assert(
      fc.property(fc.nat(1e12), (bytes) => {
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
  });
});
