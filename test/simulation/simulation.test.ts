import { expect, test } from 'vitest';
import { generate } from './generate.ts';
import { MUTANTS } from './mutants.ts';
import type { Rules } from './rules.ts';
import { RULES } from './rules.ts';
import { shrink } from './shrink.ts';
import { tell } from './story.ts';
import { runStory } from './world.ts';

const SCHEDULES = 2_000;
const MOST_FOR_A_MUTANT = 10_000;

/** The first story in which a promise is broken, made short, for people. */
function firstFailure(rules: Rules, schedules: number): string | undefined {
  for (let seed = 1; seed <= schedules; seed += 1) {
    const story = generate(seed);
    const violation = runStory(story, rules);
    if (violation === undefined) continue;
    const found = shrink(story, violation, rules);
    return `${tell(found.story)}\n${found.violation.invariant}: ${found.violation.what}`;
  }
  return undefined;
}

test(`no promise is broken in ${SCHEDULES} schedules`, () => {
  expect(firstFailure(RULES, SCHEDULES)).toBeUndefined();
});

test('a story happens the same way every time', () => {
  const story = generate(15);
  const rules = MUTANTS['claim without compare'];
  const violation = runStory(story, rules);
  expect(violation).toBeDefined();
  expect(runStory(generate(15), rules)).toEqual(violation);
});

test.each(Object.entries(MUTANTS))(`a gateway that would %s is found`, (_, rules) => {
  expect(firstFailure(rules, MOST_FOR_A_MUTANT)).toBeDefined();
});
