import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { StreamPacer } from '../../../src/proxy/stream-pacer.ts';

const CHUNK = 64 * 1_024;

function streams(count: number): {
  resumed: number[];
  pass: (stream: number) => boolean;
  passAll: () => boolean[];
} {
  const pacer = new StreamPacer();
  const resumed: number[] = [];
  const pass = (stream: number): boolean => pacer.pass(CHUNK, () => resumed.push(stream));
  return { resumed, pass, passAll: () => Array.from({ length: count }, (_, stream) => pass(stream)) };
}

test('a few streams never pause', async () => {
  const { resumed, passAll } = streams(4);
  for (let i = 0; i < 10; i += 1) {
    expect(passAll()).toEqual([true, true, true, true]);
    await turn();
  }
  expect(resumed).toEqual([]);
});

test('of many streams, those that pause go on in their order, a few in each turn', async () => {
  const { resumed, pass, passAll } = streams(12);
  expect(passAll()).toEqual([...Array(4).fill(true), ...Array(8).fill(false)]);
  expect(resumed).toEqual([]);
  await turn();
  expect(resumed).toEqual([4, 5, 6, 7]);
  for (const stream of resumed) expect(pass(stream)).toBe(true);
  // One more than there is room for in this turn.
  expect(pass(0)).toBe(false);
  await turn();
  expect(resumed).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
  await turn();
  expect(resumed.at(-1)).toBe(0);
});
