import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClockWatch } from '../../../src/coordination/clock-watch.ts';

const told: string[] = [];
let watch: ClockWatch;

beforeEach(() => {
  vi.useFakeTimers();
  told.length = 0;
  watch = new ClockWatch({
    lagMs: 500,
    calmMs: 1_000,
    onChange: (isTrustworthy, reason) => told.push(`${isTrustworthy}: ${reason}`),
  });
  watch.start();
});

afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

/** Simulates a busy event loop: the clocks go on, and the timer is late. */
function standStill(ms: number): void {
  const { now } = performance;
  const wall = Date.now;
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + ms);
  vi.spyOn(Date, 'now').mockImplementation(() => wall() + ms);
}

describe('a process', () => {
  test('trusts its clocks while they and the event loop go on evenly', () => {
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual([]);
  });

  test('does not trust them after its event loop stood still, until it was calm for a while', () => {
    standStill(700);
    vi.advanceTimersByTime(100);
    expect(told).toEqual(['false: the event loop stood still for 700 ms']);
    vi.advanceTimersByTime(900);
    expect(told).toHaveLength(1);
    vi.advanceTimersByTime(100);
    expect(told[1]).toBe('true: calm again');
  });

  test('does not trust them after the wall clock was set', () => {
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(100);
    expect(told).toEqual(['false: the wall clock jumped by 3600000 ms']);
    vi.setSystemTime(Date.now() - 3_600_000);
    vi.advanceTimersByTime(100);
    expect(told[1]).toBe('false: the wall clock jumped by -3600000 ms');
  });

  test('ignores deviations smaller than its resolution', () => {
    standStill(400);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual([]);
  });
});
