import { expect, test } from 'vitest';
import { WriteBackQueue } from '../../../src/affinity/write-back-queue.ts';
import type { Binding } from '../../../src/core/binding.ts';

const USER = { kind: 'user', value: 'U' } as const;
const at = (instance: string): Binding => ({ root: USER, instance, incarnation: '', generation: 0 });

test('a binding that changes while it is written back stays in the queue', () => {
  const writeBackQueue = new WriteBackQueue();
  writeBackQueue.write([USER], at('a'), 0);
  const [[key, written] = ['', undefined]] = writeBackQueue.first(1);
  if (written === undefined) throw new Error('nothing was noted');
  writeBackQueue.write([USER], at('b'), 0);
  writeBackQueue.settle(key, written);
  const [[, left] = []] = writeBackQueue.first(1);
  expect(left?.binding.instance).toBe('b');
  if (left !== undefined) writeBackQueue.settle(key, left);
  expect(writeBackQueue.size).toBe(0);
});
