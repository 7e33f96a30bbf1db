import { expect, test } from 'vitest';
import { AgentActivity } from '../../../src/affinity/agent-activity.ts';

const A = { instance: 'a', incarnation: '' };
const NEWS_MS = 7_000;
const AGE_MS = 500;

test('agents who log off elsewhere are forgotten, also where no agent sends a request', () => {
  const activity = new AgentActivity(NEWS_MS, AGE_MS);
  for (let i = 0; i < 10_000; i += 1) activity.loggedOffElsewhere(`u:${i}`, i * 10);
  // Twice those of the last 5 s.
  expect(activity.size).toBeLessThanOrEqual(1_000);
});

test('a request that follows a log-off elsewhere is known, although other agents come in between', () => {
  const activity = new AgentActivity(NEWS_MS, AGE_MS);
  activity.loggedOffElsewhere('u:MILLER', 0);
  for (let i = 0; i < 10; i += 1) activity.end(activity.begin(`u:${i}`, A, 100), 100);
  expect(activity.begin('u:MILLER', A, 1_000).followsLogOff).toBe(true);
  expect(activity.begin('u:MILLER', A, 1_100).followsLogOff).toBe(false);
});

test('a request is known as long as news of a log-off that came before it may be late', () => {
  const activity = new AgentActivity(NEWS_MS, AGE_MS);
  activity.end(activity.begin('u:MILLER', A, 0), 100);
  // Other agents come and go meanwhile.
  for (let i = 0; i < 100; i += 1) activity.end(activity.begin(`u:${i}`, A, 60 * i), 60 * i);

  expect(activity.lastSeen('u:MILLER', 0, 7_100)).toBe(7_000);
  expect(activity.lastSeen('u:MILLER', 0, 7_101)).toBeUndefined();
  expect(activity.lastSeen('u:MILLER', 5, 7_105)).toBe(7_005);
  // The log-off itself took long.
  for (let i = 0; i < 100; i += 1) activity.end(activity.begin(`u:${i}`, A, 7_590), 7_590);
  expect(activity.lastSeen('u:MILLER', 500, 7_600)).toBe(7_500);
});

test('agents whose requests are older are forgotten', () => {
  const activity = new AgentActivity(NEWS_MS, AGE_MS);
  for (let i = 0; i < 10_000; i += 1) activity.end(activity.begin(`u:${i}`, A, i * 10), i * 10);
  expect(activity.size).toBeLessThanOrEqual(2 * 750);
});
