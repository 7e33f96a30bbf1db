import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CoordinatorPort } from '../../../../src/process/ipc/coordinator-port.ts';
import type { RoutingStateUpdate, ToWorker } from '../../../../src/process/ipc/messages.ts';
import { RemoteCoordinator } from '../../../../src/process/ipc/remote-coordinator.ts';
import { Workers } from '../../../../src/process/ipc/workers.ts';
import { aSnapshot } from '../../../support/snapshots.ts';

const LIMIT_MS = 5_000;

/** The messages with which a controller of these pools answers a worker's hello. */
function toldBy(...pools: readonly string[]): ToWorker[] {
  const told: ToWorker[] = [];
  const workers = new Workers({
    send: (_, body) => void told.push(body as ToWorker),
    leaseMs: 60_000,
    watchdogMs: 10_000,
    onMetrics: () => undefined,
    onGone: () => undefined,
    onHello: () => undefined,
  });
  for (const pool of pools) workers.addPool(pool, aGuide(pool));
  workers.started('worker-1');
  workers.take('worker-1', { kind: 'hello', knowledge: new Map(), totals: undefined });
  workers.close();
  return told;
}

function aGuide(pool: string): CoordinatorPort {
  return {
    snapshot: aSnapshot({ leaseEnd: { mono: performance.now() + 60_000, wall: Date.now() + 60_000 } }, pool),
    confirm: () => undefined,
    suspect: () => undefined,
    renew: async () => undefined,
    storeFailed: async () => undefined,
    counts: () => new Map(),
    knowledge: () => ({}) as RoutingStateUpdate['knowledge'],
  };
}

/** A worker of two pools that waits for its first view. */
function aWaiting(): { hears: (told: readonly ToWorker[]) => Promise<boolean> } {
  const coordinator = new RemoteCoordinator({
    pools: ['ici', 'new'].map((name) => ({ name, mode: 'sticky' as const, instances: new Set(['a']) })),
    onAdopted: () => undefined,
    onSuspect: () => undefined,
    controller: { renew: async () => undefined, storeFailed: async () => undefined },
  });
  let isSettled = false;
  void coordinator.settled(LIMIT_MS).then(() => {
    isSettled = true;
  });
  return {
    hears: async (told) => {
      for (const message of told) {
        if (message.kind === 'pools') coordinator.setPools(message.pools);
        else if (message.kind === 'bulletin') coordinator.apply(message);
      }
      await Promise.resolve();
      return isSettled;
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a worker that waits for its first view', () => {
  test('waits for the view of every pool', async () => {
    const { hears } = aWaiting();
    const told = toldBy('ici', 'new');
    expect(await hears(told.slice(0, -1))).toBe(false);
    expect(await hears(told.slice(-1))).toBe(true);
  });

  test('does not wait for a pool that the controller does not have', async () => {
    const { hears } = aWaiting();
    expect(await hears(toldBy('ici'))).toBe(true);
  });

  test('waits while the controller has not listed its pools yet', async () => {
    const { hears } = aWaiting();
    expect(await hears(toldBy())).toBe(false);
    await vi.advanceTimersByTimeAsync(LIMIT_MS);
    expect(await hears([])).toBe(true);
  });
});
