import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Pair } from '../drills/drills.ts';
import { drillCycles, startPair } from '../drills/drills.ts';
import type { Stage } from '../drills/stage.ts';
import { setStage } from '../drills/stage.ts';

// haproxy needs two checks, and both haproxy and a gateway may be delayed.
const POLL_INTERVAL = '5s';

let stage: Stage;
let pair: Pair;

beforeAll(async () => {
  stage = await setStage(inject('redisUrl'));
  pair = await startPair(stage, 1, POLL_INTERVAL);
}, 120_000);

afterAll(async () => {
  await pair?.close();
  await stage?.close();
});

test('clients with new connections do not notice a stop and start of one of two gateways behind a balancer', async () => {
  const report = await drillCycles(pair, {
    times: 1,
    workers: 2,
    perSecond: 30,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
  expect(report).toMatchObject({ examples: [], refused: 0, failed: 0, moved: 0, cut: 0 });
  expect(report.requests).toBeGreaterThan(0);
});
