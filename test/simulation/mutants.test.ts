import { expect, test } from 'vitest';
import { firstFailure } from './first-failure.ts';
import { MUTANTS } from './mutants.ts';

const MOST_SCHEDULES = 10_000;

/**
 * The seed at which a search from the first one finds the bug. It is tried first,
 * because the search itself takes long. If stories have changed so that the bug
 * does not show there any more, the test searches again, and `npm run trial simulation -- --mutant`
 * prints the seed to enter here.
 */
const SHOWS_AT: Readonly<Record<string, number>> = {
  'skip the lease check': 3,
  'skip the epoch check': 1_045,
  'claim without compare': 5,
  'rebind without generation': 93,
  'act on a pending view': 16,
  'open a new store generation at once': 5,
  'trust the cache in any epoch': 15,
  'claim in an unknown store generation': 8_806,
  'place alone after two time-outs': 150,
  'place alone though the store has answered': 92,
  'serve with another configuration': 130,
  'decide by its own priorities': 889,
  'give up nothing that it has sent': 210,
  'forget an agent without waiting for the others': 18,
  'release without a fencing token': 393,
  'begin with generation 1 after a release': 7_108,
  'restore the first, not the latest': 6_116,
  'take a request of a peer without a lease': 1_893,
  'take a request of a peer in degraded mode': 2_237,
  'take a request of a peer for an instance that lost the agent': 27,
  'judge a request of a peer only when it arrives': 80,
  'give up nothing that it has sent for a peer': 513,
  'send a request again that a silent peer has got': 488,
  'send a request again because a peer names a failure that allows it': 488,
  'hand on a request of a peer': 27,
};

test.each(Object.entries(MUTANTS))('a gateway that would %s is found', { tags: 'long' }, (name, rules) => {
  const from = Math.min(SHOWS_AT[name] ?? 1, MOST_SCHEDULES);
  const found = firstFailure(rules, 1, from) ?? firstFailure(rules, MOST_SCHEDULES);
  expect(found).toContain('violated:');
});
