import type { Violation } from './checker.ts';
import type { Rules } from './rules.ts';
import type { Story, StoryEvent } from './story.ts';
import { healedAt } from './story.ts';
import { runStory } from './world.ts';

export interface Found {
  readonly story: Story;
  readonly violation: Violation;
}

/**
 * Looks for a shorter story that breaks the same promise: leaves out events, many
 * at a time and then one by one, until each is needed; then makes those that
 * last shorter.
 */
export function shrink(story: Story, violation: Violation, rules: Rules): Found {
  let best: Found = { story, violation };
  const attempt = (events: readonly StoryEvent[]): boolean => {
    const shorter = { ...best.story, events, healed: healedAt(events) };
    const found = runStory(shorter, rules);
    if (found?.invariant !== violation.invariant) return false;
    best = { story: shorter, violation: found };
    return true;
  };
  let hasShrunk = true;
  while (hasShrunk) {
    hasShrunk = leaveOut(() => best.story.events, attempt);
  }
  for (let i = 0; i < best.story.events.length; i += 1) {
    for (;;) {
      const event = best.story.events[i] as StoryEvent;
      const shorter = shorten(event);
      if (shorter === event || !attempt(best.story.events.with(i, shorter))) break;
    }
  }
  return best;
}

function leaveOut(
  events: () => readonly StoryEvent[],
  attempt: (events: readonly StoryEvent[]) => boolean,
): boolean {
  let hasShrunk = false;
  for (let size = Math.ceil(events().length / 2); size >= 1; size = Math.floor(size / 2)) {
    // From the end: events after the violation go first.
    for (let from = events().length - size; from > -size; from -= size) {
      const [begin, end] = [Math.max(0, from), Math.max(0, from) + size];
      const rest = events().filter((_, i) => i < begin || i >= end);
      if (rest.length < events().length && attempt(rest)) hasShrunk = true;
    }
  }
  return hasShrunk;
}

const SHORTEST_MS = 10;

/** Half as long, or the same event if it cannot be shorter. */
function shorten(event: StoryEvent): StoryEvent {
  if (!('ms' in event) || event.ms <= SHORTEST_MS) return event;
  return { ...event, ms: Math.floor(event.ms / 2) };
}
