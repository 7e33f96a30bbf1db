import pino from 'pino';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import type { PoolConfig } from '../../../src/config/schema.ts';
import { LocalViewStore } from '../../../src/coordination/local-view-store.ts';
import { PoolHistory } from '../../../src/core/history/pool-history.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import type { ControlPool } from '../../../src/wiring/control-pool.ts';
import { composeControlPool } from '../../../src/wiring/control-pool.ts';
import { ProbesOfPools } from '../../../src/wiring/watched-probes.ts';
import { eventually } from '../../support/eventually.ts';
import { startGatedInstance } from '../../support/gated-instance.ts';
import { SILENT_EVENTS } from '../../support/silent-events.ts';

let closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

/** The controller's half of a pool, with workers that send nothing by themselves. */
async function start(publish: (() => void) | undefined): Promise<ControlPool> {
  const instance = await startGatedInstance();
  instance.answerProbes();
  const { config } = loadConfig({
    text: `pools: [{ name: ici, mode: sticky, instances: [{ id: a, url: '${instance.url}' }] }]`,
    env: {},
  });
  const pool = composeControlPool(config.pools[0] as PoolConfig, config, {
    viewStore: new LocalViewStore({ leaseMs: 300, joinMs: 0 }),
    leaseMs: 300,
    replica: 'g1',
    isRunning: () => true,
    coordinatorEvents: SILENT_EVENTS,
    newId: () => `${Math.random()}`,
    bindings: {
      counts: new Map(),
      refreshCounts: async () => undefined,
    } as never,
    counted: {
      traffic: () => ({ requests: 0, faults: 0 }),
      relayed: () => undefined,
      identitySources: () => [],
      history: new PoolHistory(),
    },
    onConnectError: () => undefined,
    probes: new ProbesOfPools(config, pino({ level: 'silent' }), new Metrics({ processMetrics: false })).of(
      'ici',
    ),
    traffic: {
      load: () => ({ instances: new Map(), parked: 0, cachedBindings: 0, isMirrored: true, idleMs: 0 }),
      writeBack: async () => undefined,
      wakeParked: () => undefined,
      seenNames: async () => [],
      explain: async () => {
        throw new Error('there is no worker');
      },
    },
    ...(publish === undefined ? {} : { publisher: { publish, mayActUntil: () => Number.POSITIVE_INFINITY } }),
  });
  closers.push(
    () => instance.close(),
    () => pool.close(),
  );
  await pool.start();
  return pool;
}

test('a view that workers act on takes effect once they have confirmed it, not before', async () => {
  let published = 0;
  const { coordinator } = await start(() => {
    published += 1;
  });
  await eventually(() => expect(coordinator.agreed.epoch).toBe(1));
  const before = published;
  // After each sync with the view store.
  await eventually(() => expect(published).toBeGreaterThan(before + 3));
  expect(coordinator.isEffective).toBe(false);
  coordinator.confirm(coordinator.agreed.id);
  await eventually(() => expect(coordinator.isEffective).toBe(true));
});

test('a view that no worker acts on takes effect by itself', async () => {
  const { coordinator } = await start(undefined);
  await eventually(() => expect(coordinator.isEffective && coordinator.agreed.epoch === 1).toBe(true));
});
