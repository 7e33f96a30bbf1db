import { expect, test } from 'vitest';
import { firstFailure } from './first-failure.ts';
import { MUTANTS } from './mutants.ts';

const MOST_SCHEDULES = 10_000;

test.each(Object.entries(MUTANTS))('a gateway that would %s is found', (_, rules) => {
  expect(firstFailure(rules, MOST_SCHEDULES)).toContain('violated:');
});
