import { expect, test } from 'vitest';
import type { PoolMode } from '../../src/core/view/view.ts';
import { firstFailure } from './first-failure.ts';
import { generate } from './generate.ts';
import { MUTANTS } from './mutants.ts';
import { RULES } from './rules.ts';
import { shrink } from './shrink.ts';
import type { Setup, Story, StoryEvent } from './story.ts';
import { healedAt } from './story.ts';
import { runStory } from './world.ts';

// So many show most of the planted bugs of mutants.test.ts; `npm run trial simulation` and .ci/run have 100,000.
const SCHEDULES = 400;
const PLANTED = MUTANTS['act on a pending view'] ?? RULES;
const FAILS_PLANTED = 16;

test(`no promise is broken in ${SCHEDULES} schedules`, () => {
  expect(firstFailure(RULES, SCHEDULES)).toBeUndefined();
});

test('a story always runs in the same way', () => {
  const violation = runStory(generate(FAILS_PLANTED), PLANTED);
  expect(violation).toBeDefined();
  expect(runStory(generate(FAILS_PLANTED), PLANTED)).toEqual(violation);
});

test('a shrunk story still fails', () => {
  const story = generate(FAILS_PLANTED);
  const violation = runStory(story, PLANTED);
  if (violation === undefined) throw new Error('the planted bug does not show');
  const found = shrink(story, violation, PLANTED);
  expect(found.story.events.length).toBeLessThan(story.events.length / 2);
  expect(runStory(found.story, PLANTED)).toEqual(found.violation);
  expect(found.violation.invariant).toBe(violation.invariant);
});

/** Three gateways with exact clocks, for a promise that was broken once. */
function storyOf(mode: PoolMode, events: readonly StoryEvent[], given: Partial<Setup> = {}): Story {
  const clocks = [0, 1, 2].map(() => ({ rate: 1, mono: 0, wall: 0 }));
  const setup: Setup = {
    mode,
    onStoreLoss: 'refuse',
    quorum: 'majority',
    quarantines: false,
    incarnations: 'shown',
    instances: 2,
    agents: 1,
    clocks,
    ...given,
  };
  return { seed: 1, setup, events, healed: healedAt(events) };
}

test('setting the store’s clock ends no lease that a gateway still acts on', () => {
  const story = storyOf('failover', [
    { at: 5_000, kind: 'store-cut', replica: 1, ms: 2_900, lost: 'both' },
    { at: 5_200, kind: 'store-clock', by: 5_000 },
    { at: 5_210, kind: 'activate', instance: 1 },
  ]);
  expect(runStory(story)).toBeUndefined();
});

test('an operator’s act that the store lost and that was repeated does not make views alternate for ever', () => {
  const story = storyOf('sticky', [
    { at: 2_863, kind: 'store-cut', replica: 0, ms: 559, lost: 'requests' },
    { at: 2_917, kind: 'admin', instance: 0, state: 'disabled' },
    { at: 3_463, kind: 'admin', instance: 0, state: 'disabled' },
    { at: 3_662, kind: 'store-crash', ms: 6, lost: 368 },
  ]);
  expect(runStory(story)).toBeUndefined();
});

test('a gateway that has lost the store hands on no request of an agent that it has placed alone', () => {
  const story = storyOf(
    'sticky',
    [
      { at: 5_000, kind: 'store-cut', replica: 1, ms: 2_900, lost: 'requests' },
      { at: 5_700, kind: 'instance-cut', replica: 1, instance: 0, ms: 1_800 },
      { at: 7_600, kind: 'request', agent: 0, replica: 1 },
      { at: 7_850, kind: 'request', agent: 0, replica: 2 },
    ],
    { onStoreLoss: 'continue', relays: [true, true, true] },
  );
  expect(runStory(story)).toBeUndefined();
});
