import { expect, test } from 'vitest';
import { CounterHistory } from '../../../src/core/counter-history.ts';

const history = (): CounterHistory => new CounterHistory({ everyMs: 5, keepMs: 100 });
const counts = (value: number) => new Map([['requests', value]]);

test('tells how much a counter has grown within a time', () => {
  const counted = history();
  for (let at = 0; at <= 50; at += 10) counted.add(at, counts(at));
  expect(counted.value('requests')).toBe(50);
  expect(counted.increase('requests', 20)).toBe(20);
  expect(counted.increase('requests', 25)).toBe(30);
});

test('tells the growth since its first sample, if that is younger', () => {
  const counted = history();
  counted.add(0, counts(7));
  counted.add(10, counts(9));
  expect(counted.increase('requests', 1_000)).toBe(2);
});

test('a counter that appears later has grown from 0', () => {
  const counted = history();
  counted.add(0, new Map());
  expect(counted.increase('requests', 50)).toBe(0);
  counted.add(10, counts(3));
  expect(counted.increase('requests', 50)).toBe(3);
});

test('a counter that shrinks has not grown', () => {
  const counted = history();
  counted.add(0, counts(7));
  counted.add(10, counts(1));
  expect(counted.increase('requests', 50)).toBe(0);
});

test('keeps no more samples than it needs, and the newest value at once', () => {
  const counted = history();
  for (let at = 0; at <= 10_000; at += 1) counted.add(at, counts(at));
  expect(counted.value('requests')).toBe(10_000);
  expect(counted.increase('requests', 100)).toBe(100);
  expect(counted.samples).toBeLessThanOrEqual(22);
});
