import { beforeEach, expect, test } from 'vitest';
import { FailedLogins } from '../../../src/admin/auth/failed-logins.ts';

const MINUTE = 60_000;

let now: number;
let failed: FailedLogins;

beforeEach(() => {
  now = 0;
  failed = new FailedLogins(() => now);
});

/** Tries as soon as it is allowed to, and returns the waits. */
function waits(source: string, attempts: number): number[] {
  return Array.from({ length: attempts }, () => {
    const wait = failed.begin(source, 'otto');
    now += wait;
    if (wait > 0) expect(failed.begin(source, 'otto')).toBe(0);
    return wait;
  });
}

test('three failures are free, then each wait is twice as long as the one before, up to a minute', () => {
  expect(waits('10.0.0.1', 11)).toEqual([
    ...[0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, MINUTE, MINUTE],
  ]);
});

test('attempts during the wait do not prolong it', () => {
  waits('10.0.0.1', 3);
  expect(failed.begin('10.0.0.1', 'otto')).toBe(1_000);
  now += 600;
  expect(failed.begin('10.0.0.1', 'otto')).toBe(400);
});

test('other sources do not wait, but those of one IPv6 network do', () => {
  waits('10.0.0.1', 3);
  expect(failed.begin('10.0.0.2', 'otto')).toBe(0);
  waits('2001:db8::1', 3);
  expect(failed.begin('2001:db8:0:0:aaaa::7', 'otto')).toBe(1_000);
  expect(failed.begin('2001:db8:0:1::1', 'otto')).toBe(0);
});

test('an attempt that succeeds does not count, and does not clear the failures before it', () => {
  waits('10.0.0.1', 2);
  for (let i = 0; i < 5; i += 1) {
    expect(failed.begin('10.0.0.1', 'otto')).toBe(0);
    failed.takeBack('10.0.0.1', 'otto');
  }
  waits('10.0.0.1', 1);
  expect(failed.begin('10.0.0.1', 'otto')).toBe(1_000);
});

test('the failures of one user do not slow down another user at the same source', () => {
  waits('10.0.0.1', 5);
  expect(failed.begin('10.0.0.1', 'anna')).toBe(0);
});

test('failures are forgotten after a quarter of an hour', () => {
  waits('10.0.0.1', 5);
  now += 15 * MINUTE;
  expect(waits('10.0.0.1', 3)).toEqual([0, 0, 0]);
});
