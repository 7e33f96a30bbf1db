import { describe, expect, test } from 'vitest';
import type { PoolLoad } from '../../../../src/process/ipc/pool-load.ts';
import { Workers } from '../../../../src/process/ipc/workers.ts';
import type { WorkerId } from '../../../../src/process/messages.ts';

function theWorkers(): Workers {
  return new Workers({
    send: () => undefined,
    leaseMs: 1_000,
    watchdogMs: 10_000,
    onMetrics: () => undefined,
    onGone: () => undefined,
    onHello: () => undefined,
  });
}

const QUIET: PoolLoad = {
  instances: new Map(),
  parked: 0,
  cachedBindings: 3,
  isMirrored: true,
  idleMs: 60_000,
};

function tell(workers: Workers, id: WorkerId, pools: Readonly<Record<string, PoolLoad>>): void {
  workers.take(id, { kind: 'load', load: { pools: new Map(Object.entries(pools)), inFlight: 0 } });
}

describe('the load of a pool', () => {
  test('is the sum of all workers', () => {
    const workers = theWorkers();
    for (const id of ['worker-1', 'worker-2'] as const) workers.started(id);
    tell(workers, 'worker-1', { ici: QUIET });
    tell(workers, 'worker-2', { ici: { ...QUIET, idleMs: 5_000, parked: 1 } });
    expect(workers.load('ici')).toEqual({ ...QUIET, idleMs: 5_000, parked: 1 });
  });

  test('does not count as idle without workers, nor until each worker has reported', () => {
    const workers = theWorkers();
    const unheard = { idleMs: 0, isMirrored: false };
    expect(workers.load('ici')).toMatchObject(unheard);
    workers.started('worker-1', true);
    workers.started('worker-2');
    expect(workers.load('ici')).toMatchObject(unheard);
    tell(workers, 'worker-1', { ici: QUIET });
    expect(workers.load('ici')).toMatchObject({ ...unheard, cachedBindings: 3 });
    workers.gone('worker-2');
    expect(workers.load('ici')).toEqual(QUIET);
    workers.gone('worker-1');
    expect(workers.load('ici')).toMatchObject(unheard);
  });

  test('does not wait for workers without the pool', () => {
    const workers = theWorkers();
    for (const id of ['worker-1', 'worker-2'] as const) workers.started(id);
    tell(workers, 'worker-1', { old: QUIET });
    tell(workers, 'worker-2', { ici: QUIET });
    expect(workers.load('ici')).toEqual(QUIET);
  });
});
