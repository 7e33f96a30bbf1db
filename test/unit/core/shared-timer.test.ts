import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SharedTimer } from '../../../src/core/shared-timer.ts';

const LENGTH_MS = 100;
let ended: string[];
let timer: SharedTimer;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  ended = [];
  timer = new SharedTimer(LENGTH_MS);
});
afterEach(() => {
  vi.useRealTimers();
});

const start = (name: string) => timer.start(() => ended.push(name));

test('each wait lasts as long as if it had a timer of its own', () => {
  start('first');
  vi.advanceTimersByTime(60);
  start('second');

  vi.advanceTimersByTime(39);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(['first']);
  vi.advanceTimersByTime(59);
  expect(ended).toEqual(['first']);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(['first', 'second']);
});

test('a wait that is stopped does not end, and does not delay those after it', () => {
  const first = start('first');
  vi.advanceTimersByTime(10);
  start('second');
  first.stop();
  first.stop();

  vi.advanceTimersByTime(99);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(['second']);
});

test('there is one timer for all waits, and none after the last has ended', () => {
  for (let i = 0; i < 50; i += 1) start(`${i}`);
  expect(vi.getTimerCount()).toBe(1);

  vi.advanceTimersByTime(LENGTH_MS);

  expect(ended).toHaveLength(50);
  expect(vi.getTimerCount()).toBe(0);
});

test('a wait that begins as others end lasts its full length', () => {
  timer.start(() => start('second'));
  start('first');
  vi.advanceTimersByTime(LENGTH_MS);
  expect(ended).toEqual(['first']);

  vi.advanceTimersByTime(99);
  expect(ended).toEqual(['first']);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(['first', 'second']);
});

test('a wait that ends late is told how late it is', () => {
  const late: number[] = [];
  const begun = performance.now();
  timer.start((lateMs) => late.push(lateMs));
  // As after a pause of the process.
  vi.spyOn(performance, 'now').mockReturnValue(begun + 350);

  vi.advanceTimersByTime(LENGTH_MS);

  expect(late).toEqual([250]);
});
