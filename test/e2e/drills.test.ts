import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { DrillOptions, DrillReport } from '../drills/drills.ts';
import { drillController, drillKills, drillReloads, drillRestarts } from '../drills/drills.ts';
import type { DrilledGateway, Stage } from '../drills/stage.ts';
import { setStage } from '../drills/stage.ts';

let stage: Stage;
let gateway: DrilledGateway;

beforeAll(async () => {
  stage = await setStage(inject('redisUrl'));
  gateway = await stage.gateway({ workers: 2 });
}, 120_000);

afterAll(async () => {
  await stage?.close();
});

/** A request rate that a busy machine can handle. */
const options = (times: number): DrillOptions => ({
  times,
  workers: 2,
  perSecond: 30,
  signal: new AbortController().signal,
  onProgress: () => undefined,
});

function expectNothingLost(report: DrillReport): void {
  expect(report).toMatchObject({ examples: [], refused: 0, failed: 0, moved: 0 });
  expect(report.requests).toBeGreaterThan(0);
}

describe('clients that open a new connection for each request', { tags: 'long' }, () => {
  test('do not notice a rolling restart', async () => {
    const report = await drillRestarts(gateway, options(1));
    expectNothingLost(report);
    expect(report.cut).toBe(0);
  });

  test('do not notice a reload that adds an instance', async () => {
    const report = await drillReloads(gateway, options(1));
    expectNothingLost(report);
    expect(report.cut).toBe(0);
  });

  test('do not notice that the controller is killed', async () => {
    const report = await drillController(gateway, options(1));
    expectNothingLost(report);
    expect(report.cut).toBe(0);
  });

  test('lose only the requests of a killed worker', async () => {
    expectNothingLost(await drillKills(gateway, options(3)));
  });
});
