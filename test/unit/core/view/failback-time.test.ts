import { describe, expect, test } from 'vitest';
import { isFailbackTime } from '../../../../src/core/view/failback-time.ts';

const STEP_MS = 5 * 60_000;
const DAY_MS = 24 * 60 * 60_000;

describe('the time of day of a failback', () => {
  test.each([
    ['22:00', 'Europe/Zurich', '2026-11-22T21:00:00Z', true],
    ['22:00', 'Europe/Zurich', '2026-11-22T21:04:59Z', true],
    ['22:00', 'Europe/Zurich', '2026-11-22T21:05:00Z', false],
    ['22:00', 'Europe/Zurich', '2026-11-22T20:59:59Z', false],
    // In summer the zone is one hour ahead.
    ['22:00', 'Europe/Zurich', '2026-07-22T20:00:00Z', true],
    ['23:58', 'UTC', '2026-11-22T00:01:00Z', true],
    ['00:00', 'UTC', '2026-11-22T00:00:00Z', true],
  ])('%s in %s at %s: %s', (time, zone, at, due) => {
    expect(isFailbackTime(time, zone, Date.parse(at))).toBe(due);
  });

  // Clocks skip an hour, so the time comes with the first moment after it.
  test.each([
    ['02:30', 'Europe/Berlin', '2026-03-29T00:59:59Z', false],
    ['02:30', 'Europe/Berlin', '2026-03-29T01:00:00Z', true],
    ['02:30', 'Europe/Berlin', '2026-03-29T01:04:59Z', true],
    ['02:30', 'Europe/Berlin', '2026-03-29T01:05:00Z', false],
    ['02:30', 'Europe/Berlin', '2026-03-29T01:30:00Z', false],
    ['03:00', 'Europe/Berlin', '2026-03-29T01:00:00Z', true],
    // Here they skip the first hour of the day.
    ['00:30', 'Africa/Cairo', '2026-04-23T21:59:59Z', false],
    ['00:30', 'Africa/Cairo', '2026-04-23T22:00:00Z', true],
    ['00:30', 'Africa/Cairo', '2026-04-23T22:30:00Z', false],
    ['00:15', 'America/Santiago', '2026-09-06T03:59:59Z', false],
    ['00:15', 'America/Santiago', '2026-09-06T04:00:00Z', true],
    ['00:15', 'America/Santiago', '2026-09-06T04:15:00Z', false],
  ])('%s in %s, which clocks skip, at %s: %s', (time, zone, at, due) => {
    expect(isFailbackTime(time, zone, Date.parse(at))).toBe(due);
  });

  // Clocks show an hour twice, and only the first time counts.
  test.each([
    ['02:30', 'Europe/Berlin', '2026-10-25T00:30:00Z', true],
    ['02:30', 'Europe/Berlin', '2026-10-25T01:30:00Z', false],
    ['02:00', 'Europe/Berlin', '2026-10-25T01:00:00Z', false],
    ['02:58', 'Europe/Berlin', '2026-10-25T01:02:00Z', true],
    ['03:00', 'Europe/Berlin', '2026-10-25T02:00:00Z', true],
    // Here it is the last hour of the day.
    ['23:30', 'Africa/Cairo', '2026-10-29T20:30:00Z', true],
    ['23:30', 'Africa/Cairo', '2026-10-29T21:30:00Z', false],
    ['23:30', 'America/Santiago', '2026-04-05T02:30:00Z', true],
    ['23:30', 'America/Santiago', '2026-04-05T03:30:00Z', false],
  ])('%s in %s, which clocks show twice, at %s: %s', (time, zone, at, due) => {
    expect(isFailbackTime(time, zone, Date.parse(at))).toBe(due);
  });

  test.each([
    ['Europe/Berlin', ['2026-03-29', '2026-10-25'], ['02:00', '02:30', '02:55', '03:00']],
    ['Africa/Cairo', ['2026-04-24', '2026-10-30'], ['00:00', '00:30', '23:00', '23:55']],
    ['America/Santiago', ['2026-04-05', '2026-09-06'], ['00:00', '00:30', '23:00', '23:55']],
    ['Australia/Lord_Howe', ['2026-04-05', '2026-10-04'], ['01:30', '02:00', '02:15', '02:30']],
  ])('comes exactly once a day in %s around %j', (zone, changes, times) => {
    const dateIn = new Intl.DateTimeFormat('en-CA', { timeZone: zone });
    for (const change of changes) {
      for (const time of times) {
        const perDay = new Map<string, number>();
        const middle = Date.parse(`${change}T00:00:00Z`);
        for (let at = middle - 2 * DAY_MS; at < middle + 2 * DAY_MS; at += STEP_MS) {
          const day = dateIn.format(at);
          perDay.set(day, (perDay.get(day) ?? 0) + (isFailbackTime(time, zone, at) ? 1 : 0));
        }
        // The first day and the last one are not whole.
        const counts = [...perDay.values()].slice(1, -1);
        expect([change, time, counts]).toEqual([change, time, counts.map(() => 1)]);
      }
    }
  });
});
