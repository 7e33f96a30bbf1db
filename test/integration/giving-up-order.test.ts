import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { LocalViewStore } from '../../src/coordination/local-view-store.ts';
import type { AffinityStore, ViewStoreClient } from '../../src/core/ports.ts';
import { startGateway } from '../../src/wiring/gateway.ts';
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
  const { config } = loadConfig({
    text: `listen: { address: '127.0.0.1:0' }\nadmin: { address: '127.0.0.1:0' }\n${poolOf([a.url, b.url])}`,
    env: { HOME: '/tmp' },
  });
  const viewStore = new LocalViewStore({ leaseMs: 0, joinMs: 0 });
  /** For each sync: the acknowledged epoch, and the number of requests that wait at the instance. */
  const asked: { epoch: number; waiting: number }[] = [];
  const watched: ViewStoreClient = Object.assign(Object.create(viewStore), {
    sync: (request: Parameters<ViewStoreClient['sync']>[0]) => {
      asked.push({ epoch: request.epoch, waiting: upstream?.attempts.length ?? 0 });
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
  const gateway = await startGateway(config, pino({ level: 'silent' }), {
    openStores: async () => ({
      isShared: false,
      gateways: undefined,
      version: async () => 'embedded',
      open: () => STORE,
      viewStore: () => watched,
      close: async () => undefined,
    }),
  });
  opened.push(gateway);
  const upstream = gateway.pools[0]?.upstreams.get('i1');
  const epochNow = (): number => gateway.status().pools[0]?.epoch ?? 0;
  await gateway.running;

  // The instance hangs with this request, and then fails its probes.
  a.answer = () => undefined;
  const attempt = sendAttempt(upstream as NonNullable<typeof upstream>, { instance: 'i1' });
  await eventually(() => expect(a.requests).toHaveLength(1));
  expect(upstream?.attempts.length).toBe(1);
  const epoch = epochNow();
  a.refuseNew();

  expect(await attempt.outcome).toBe('instance-lost');
  await eventually(() => expect(asked.at(-1)?.epoch).toBeGreaterThan(epoch));
  expect(asked.some((one) => one.epoch <= epoch && one.waiting === 1)).toBe(true);
  expect(asked.filter((one) => one.epoch > epoch && one.waiting > 0)).toEqual([]);
});
