import { expect, test } from 'vitest';
import { Journal } from '../../../src/affinity/write-back-queue.ts';
import type { Binding } from '../../../src/core/binding.ts';

const USER = { kind: 'user', value: 'U' } as const;
const at = (instance: string): Binding => ({ root: USER, instance, incarnation: '', generation: 0 });

test('what is decided again while it is written down is not settled with what was written', () => {
  const journal = new Journal();
  journal.write([USER], at('a'), 0);
  const [[key, written] = ['', undefined]] = journal.first(1);
  if (written === undefined) throw new Error('nothing was noted');
  journal.write([USER], at('b'), 0);
  journal.settle(key, written);
  const [[, left] = []] = journal.first(1);
  expect(left?.binding.instance).toBe('b');
  if (left !== undefined) journal.settle(key, left);
  expect(journal.size).toBe(0);
});
