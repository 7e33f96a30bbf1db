import { expect, test } from 'vitest';
import { firstFailure } from './first-failure.ts';
import { generate } from './generate.ts';
import { MUTANTS } from './mutants.ts';
import { RULES } from './rules.ts';
import { shrink } from './shrink.ts';
import { runStory } from './world.ts';

const SCHEDULES = 2_000;
const PLANTED = MUTANTS['act on a pending view'] ?? RULES;
const FAILS_PLANTED = 16;

test(`no promise is broken in ${SCHEDULES} schedules`, () => {
  expect(firstFailure(RULES, SCHEDULES)).toBeUndefined();
});

test('a story happens the same way every time', () => {
  const violation = runStory(generate(FAILS_PLANTED), PLANTED);
  expect(violation).toBeDefined();
  expect(runStory(generate(FAILS_PLANTED), PLANTED)).toEqual(violation);
});

test('a story that fails is made short, and still fails', () => {
  const story = generate(FAILS_PLANTED);
  const violation = runStory(story, PLANTED);
  if (violation === undefined) throw new Error('the planted bug does not show');
  const found = shrink(story, violation, PLANTED);
  expect(found.story.events.length).toBeLessThan(story.events.length / 2);
  expect(runStory(found.story, PLANTED)).toEqual(found.violation);
  expect(found.violation.invariant).toBe(violation.invariant);
});
