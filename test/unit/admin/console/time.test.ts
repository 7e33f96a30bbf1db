import { describe, expect, test } from 'vitest';
import {
  absoluteText,
  durationText,
  lastRequestText,
  parseDuration,
  relativeText,
} from '../../../../src/admin/console/logic/time.ts';

const at = (iso: string): number => Date.parse(iso);

describe('a time in the console', () => {
  test.each([
    ['2026-11-28T08:02:11Z', '2026-11-28T10:00:00Z', 0, '08:02:11 UTC'],
    ['2026-11-28T08:02:11Z', '2026-11-28T10:00:00Z', 60, '09:02:11 +01:00'],
    ['2026-11-28T08:02:11Z', '2026-11-28T10:00:00Z', -210, '04:32:11 -03:30'],
    ['2026-11-27T08:02:11Z', '2026-11-28T10:00:00Z', 0, '2026-11-27 08:02:11 UTC'],
    // The day is that of the zone: 23:30 UTC is the next day in Berlin.
    ['2026-11-27T23:30:00Z', '2026-11-28T10:00:00Z', 60, '00:30:00 +01:00'],
  ])('%s at %s with offset %i is shown as %s', (time, now, offset, shown) => {
    expect(absoluteText(at(time), at(now), offset)).toBe(shown);
  });

  test('has the offset that its zone had then, also after clocks were changed', () => {
    expect(absoluteText(at('2026-10-24T08:00:00Z'), at('2026-10-26T08:00:00Z'), 120, 60)).toBe(
      '2026-10-24 10:00:00 +02:00',
    );
  });

  test.each([
    [0, '0 s'],
    [59_400, '59 s'],
    [60_000, '1 min'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 min'],
    [273_600_000, '3 d 4 h'],
  ])('a duration of %i ms is %s', (ms, shown) => {
    expect(durationText(ms)).toBe(shown);
  });

  test('is relative to now, before and after', () => {
    const now = at('2026-11-28T10:00:00Z');
    expect(relativeText(now - 500, now)).toBe('now');
    expect(relativeText(now - 12_000, now)).toBe('12 s ago');
    expect(relativeText(now + 180_000, now)).toBe('in 3 min');
  });

  test('of the last request is no more exact than it is known', () => {
    const now = at('2026-11-28T10:00:00Z');
    expect(lastRequestText(now, 36 * 60_000, now)).toBe('in the last 36 min');
    expect(lastRequestText(now - 3 * 3_600_000, 36 * 60_000, now)).toBe('2 h 24 min to 3 h 36 min ago');
  });

  test('durations are read as options write them', () => {
    expect(['30s', '30 m', '2h', '1.5h', '1d', 'soon', '5', ''].map(parseDuration)).toEqual([
      30_000,
      1_800_000,
      7_200_000,
      5_400_000,
      86_400_000,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
