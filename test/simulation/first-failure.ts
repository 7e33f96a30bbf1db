import { generate } from './generate.ts';
import type { Rules } from './rules.ts';
import type { Found } from './shrink.ts';
import { shrink } from './shrink.ts';
import { clock, tell } from './story.ts';
import { runStory } from './world.ts';

/** A description of the first of so many stories that breaks a promise, shrunk. */
export function firstFailure(rules: Rules, schedules: number, from = 1): string | undefined {
  for (let seed = from; seed < from + schedules; seed += 1) {
    const story = generate(seed);
    const violation = runStory(story, rules);
    if (violation !== undefined) return describe(shrink(story, violation, rules));
  }
  return undefined;
}

export function describe({ story, violation }: Found): string {
  return `${tell(story)}\n${clock(violation.at)}  violated: ${violation.invariant}\n  ${violation.what}`;
}
