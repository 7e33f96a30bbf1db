import { expect, test } from 'vitest';
import { load, MINIMAL, problemsOf } from './support.ts';

function healthOf(health: string): Record<string, unknown> {
  const { config } = load(health === '' ? MINIMAL : `${MINIMAL}    health: ${health}\n`);
  const { interval, fastInterval, timeout, fall } = config.pools[0]?.health ?? {};
  return { interval, fastInterval, timeout, fall };
}

test('a profile sets the defaults of how instances are probed, and a given value counts more', () => {
  const careful = { interval: 2_000, fastInterval: 250, timeout: 1_000, fall: 3 };
  expect(healthOf('')).toEqual(careful);
  expect(healthOf('{ profile: careful }')).toEqual(careful);
  expect(healthOf('{ profile: balanced }')).toEqual({
    interval: 1_000,
    fastInterval: 200,
    timeout: 600,
    fall: 3,
  });
  expect(healthOf('{ profile: fast, fall: 5 }')).toEqual({
    interval: 500,
    fastInterval: 100,
    timeout: 300,
    fall: 5,
  });
});

test('an unknown profile is the only problem that it causes', () => {
  const problems = problemsOf(`${MINIMAL}    health: { profile: quick }\n`);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain('profile');
});
