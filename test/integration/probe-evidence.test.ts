import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PoolStatus } from '../../src/core/gateway-status.ts';
import { eventually } from '../support/eventually.ts';
import type { GatedInstance } from '../support/gated-instance.ts';
import { startGatedInstance } from '../support/gated-instance.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let instance: GatedInstance;
let gateway: TestGateway;

beforeAll(async () => {
  instance = await startGatedInstance();
  instance.answerProbes();
  gateway = await startTestGateway(
    `pools: [{ name: ici, instances: [{ id: a, url: '${instance.url}' }], health: { interval: 50ms, fastInterval: 20ms, timeout: 200ms, fall: 20, incarnation: '(o)k' } }]`,
  );
});

afterAll(async () => {
  await gateway.close();
  await instance.close();
});

const pool = (): PoolStatus => gateway.status().pools[0] as PoolStatus;
const answers = () => pool().instances[0]?.answers;

test('the pause of an instance is in the status, with what it means for each setting', async () => {
  await eventually(() => expect(answers()?.longest).not.toBeNull());
  expect(answers()?.p50Ms).toBeLessThan(200);

  instance.holdProbes();
  const began = performance.now();
  // Each of them but the last has timed out.
  await eventually(() => expect(instance.waiting.probes).toBeGreaterThan(3));
  const shortest = 3 * 200;
  instance.answerProbes();
  await eventually(() => expect(answers()?.longest?.ms).toBeGreaterThan(shortest));
  expect(answers()?.longest?.ms).toBeLessThan(performance.now() - began + 200);

  const { probes } = pool();
  const { settings } = probes;
  const losses = Object.fromEntries(settings.map((one) => [one.profile ?? 'own', one.losses]));
  expect(losses).toMatchObject({ own: 0, fast: 1 });
  expect(settings.find(({ present }) => present)).toMatchObject({ profile: null, pauseMs: 4_000 });
  expect(probes.advice).toBe('unsure');
  expect(probes.text).toContain('advice needs a day');
  expect(pool().instances[0]?.health).toBe('up');
});

test('the metrics have it too', async () => {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const count = (bound: string): number =>
    Number(
      new RegExp(
        `^gateway_probe_silence_seconds_bucket\\{le="${bound.replace('+', '\\+')}",pool="ici",instance="a"\\} (\\d+)$`,
        'm',
      ).exec(text)?.[1],
    );
  expect(count('+Inf') - count('0.6')).toBeGreaterThanOrEqual(1);
});
