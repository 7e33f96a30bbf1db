import { expect, inject, test } from 'vitest';
import { raceClaims } from '../support/claim-race.ts';
import { report } from '../support/report.ts';

test('simultaneous first requests through two of three replicas split none of 10,000 agents', async () => {
  const result = await raceClaims({ redis: { url: inject('redisUrl') }, pairs: 10_000 });
  report(`claim race: ${JSON.stringify(result)}`);
  expect(result.splits).toBe(0);
  // Otherwise there was no competition, and no fencing token could refuse a claim.
  expect(result.contested).toBeGreaterThan(result.pairs / 4);
  expect(result.views).toBeGreaterThan(0);
});
