import { expect, inject, test } from 'vitest';
import { raceClaims } from '../support/claim-race.ts';
import { report } from '../support/report.ts';

test('of 10,000 agents whose first two requests come together through two of three replicas, none is split', async () => {
  const result = await raceClaims({ redis: { url: inject('redisUrl') }, pairs: 10_000 });
  report(`claim race: ${JSON.stringify(result)}`);
  expect(result.splits).toBe(0);
  // Else there was nothing to win, and no fence to be refused by.
  expect(result.contested).toBeGreaterThan(result.pairs / 4);
  expect(result.views).toBeGreaterThan(0);
});
