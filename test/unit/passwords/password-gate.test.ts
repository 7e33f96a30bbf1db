import { beforeEach, describe, expect, test } from 'vitest';
import type { PasswordRecord } from '../../../src/core/password-record.ts';
import { hashPassword } from '../../../src/passwords/password.ts';
import { PasswordGate } from '../../../src/passwords/password-gate.ts';

// The cheapest cost that is allowed.
const COST = { logN: 14, blockSize: 1, parallelization: 1 };
const RIGHT = { user: 'op', password: 'geheim' };
const WRONG = { user: 'op', password: 'wrong' };

let records: PasswordRecord[];
let gate: PasswordGate;

beforeEach(async () => {
  records = [await hashPassword('op', 'geheim', { cost: COST })];
  gate = new PasswordGate(() => records);
});

/** Has one source try many wrong passwords at once, and returns how they were answered so far. */
function guess(count: number, source: string): string[] {
  const kinds: string[] = [];
  for (let i = 0; i < count; i += 1) void gate.check(WRONG, source).then(({ kind }) => kinds.push(kind));
  return kinds;
}

describe('a right password', () => {
  test('waits for one wrong one of another source, not for all', async () => {
    const guesses = guess(30, '10.0.0.66');
    expect((await gate.check(RIGHT, '10.0.0.1')).kind).toBe('granted');
    expect(guesses.length).toBeLessThanOrEqual(2);
  });

  test('is granted while 30 wrong ones of the same source wait', async () => {
    guess(30, '10.0.0.1');
    expect((await gate.check(RIGHT, '10.0.0.1')).kind).toBe('granted');
  });

  test('that was right before is granted at once, and no longer once it has changed', async () => {
    expect((await gate.check(RIGHT, '10.0.0.1')).kind).toBe('granted');
    const guesses = guess(1_000, '10.0.0.1');
    expect((await gate.check(RIGHT, '10.0.0.1')).kind).toBe('granted');
    expect(guesses).not.toContain('wrong');
    expect(gate.known(WRONG)).toBeUndefined();
    records = [await hashPassword('op', 'another', { cost: COST })];
    expect(gate.known(RIGHT)).toBeUndefined();
  });
});

test('the number of waiting attempts is bounded, for each source and in all, and sources with few are not refused', async () => {
  const guesses = Array.from({ length: 10 }, (_, i) => guess(50, `10.0.1.${i}`));
  expect((await gate.check(RIGHT, '10.0.0.1')).kind).toBe('granted');
  const refused = guesses.flat().filter((kind) => kind === 'busy');
  // One of them is being checked.
  expect(refused).toHaveLength(500 - 128);
});
