import { expect, test } from 'vitest';
import { coalesce } from '../../../src/admin/coalesce.ts';

test('many calls at once need two runs: the one that had begun, and one for all others', async () => {
  const ends: ((value: string) => void)[] = [];
  const ask = coalesce(() => new Promise<string>((resolve) => ends.push(resolve)));
  const asked = Array.from({ length: 5 }, () => ask());
  expect(ends).toHaveLength(1);
  ends[0]?.('first');
  expect(await asked[0]).toBe('first');
  expect(ends).toHaveLength(2);
  ends[1]?.('second');
  expect(await Promise.all(asked.slice(1))).toEqual(['second', 'second', 'second', 'second']);
  void ask();
  expect(ends).toHaveLength(3);
});

test('a run that fails does not stop the next one', async () => {
  const outcomes = [Promise.reject(new Error('away')), Promise.resolve('here')];
  const ask = coalesce(() => outcomes.shift() as Promise<string>);
  const [first, second] = [ask(), ask()];
  await expect(first).rejects.toThrow('away');
  expect(await second).toBe('here');
});
