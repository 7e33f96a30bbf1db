import { expect, test } from 'vitest';
import { AgentActivity } from '../../../src/affinity/agent-activity.ts';

const A = { instance: 'a', incarnation: '' };

test('agents who log off elsewhere are forgotten, also where no agent sends a request', () => {
  const activity = new AgentActivity();
  for (let i = 0; i < 10_000; i += 1) activity.loggedOffElsewhere(`u:${i}`, i * 10);
  // Those of the last 5 s.
  expect(activity.size).toBeLessThan(600);
});

test('a request that follows a log-off elsewhere is known, although other agents come in between', () => {
  const activity = new AgentActivity();
  activity.loggedOffElsewhere('u:MILLER', 0);
  for (let i = 0; i < 10; i += 1) activity.end(activity.begin(`u:${i}`, A, 100), 100);
  expect(activity.begin('u:MILLER', A, 1_000).followsLogOff).toBe(true);
  expect(activity.begin('u:MILLER', A, 1_100).followsLogOff).toBe(false);
});
