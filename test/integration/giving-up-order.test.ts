import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config, PoolConfig } from '../../src/config/schema.ts';
import { LocalViewStore } from '../../src/coordination/local-view-store.ts';
import type { AffinityStore, ViewStoreClient } from '../../src/core/ports.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { bindingsEvents, coordinatorEvents } from '../../src/wiring/events.ts';
import { composePool } from '../../src/wiring/pool.ts';
import { sendAttempt } from '../support/attempts.ts';
import { eventually } from '../support/eventually.ts';
import { poolOf, WireUpstream } from '../support/wire.ts';

/** A single-process gateway gives up requests before the other gateways may act on the view that requires it. */

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

// No agent is bound in this test.
const STORE = {
  listen: () => undefined,
  counts: async () => new Map(),
  restore: async () => [],
  close: async () => undefined,
} as unknown as AffinityStore;

test('a single process resets requests at a lost instance before it acknowledges the view to the store', async () => {
  const [a, b] = [await WireUpstream.start(), await WireUpstream.start()];
  opened.push(a, b);
  const { config } = loadConfig({ text: poolOf([a.url, b.url]), env: { HOME: '/tmp' } });
  const viewStore = new LocalViewStore({ leaseMs: 0, joinMs: 0 });
  /** For each sync: the acknowledged epoch, and the number of requests that wait at the instance. */
  const asked: { epoch: number; waiting: number }[] = [];
  const watched: ViewStoreClient = Object.assign(Object.create(viewStore), {
    sync: (request: Parameters<ViewStoreClient['sync']>[0]) => {
      asked.push({ epoch: request.epoch, waiting: upstream?.attempts.size ?? 0 });
      return viewStore.sync(request);
    },
    propose: (request: Parameters<ViewStoreClient['propose']>[0]) => viewStore.propose(request),
    commitPolicy: (request: Parameters<ViewStoreClient['commitPolicy']>[0]) =>
      viewStore.commitPolicy(request),
    leave: (replica: string) => viewStore.leave(replica),
    listen: (listener: Parameters<ViewStoreClient['listen']>[0]) => viewStore.listen(listener),
    suspect: () => undefined,
    close: () => viewStore.close(),
  });
  const pool = aPool(config, watched);
  opened.push(pool);
  const upstream = pool.pool.upstreams.get('i1');
  await pool.start();
  await eventually(() =>
    expect(pool.pool.routingState.view.settled && pool.coordinator.isEffective).toBe(true),
  );

  // The instance hangs with this request, and then fails its probes.
  a.answer = () => undefined;
  const attempt = sendAttempt(pool.pool.upstreams.get('i1') as NonNullable<typeof upstream>, {
    instance: 'i1',
  });
  await eventually(() => expect(a.requests).toHaveLength(1));
  expect(upstream?.attempts.size).toBe(1);
  const { epoch } = pool.coordinator.agreed;
  a.refuseNew();

  expect(await attempt.outcome).toBe('instance-lost');
  await eventually(() => expect(asked.at(-1)?.epoch).toBeGreaterThan(epoch));
  expect(asked.some((one) => one.epoch <= epoch && one.waiting === 1)).toBe(true);
  expect(asked.filter((one) => one.epoch > epoch && one.waiting > 0)).toEqual([]);
});

function aPool(config: Config, viewStore: ViewStoreClient): ReturnType<typeof composePool> {
  const logger = pino({ level: 'silent' });
  const metrics = new Metrics();
  return composePool(config.pools[0] as PoolConfig, config, {
    store: STORE,
    viewStore,
    leaseMs: Number.POSITIVE_INFINITY,
    replica: 'g1',
    bindingsEvents: bindingsEvents('ici', logger, metrics, String),
    coordinatorEvents: coordinatorEvents('ici', logger, metrics),
    newId: randomUUID,
  });
}
