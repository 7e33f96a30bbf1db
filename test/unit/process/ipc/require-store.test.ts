import { describe, expect, test } from 'vitest';
import { requireStore } from '../../../../src/process/ipc/require-store.ts';

const pool = (mode: 'sticky' | 'failover', placesAlone: boolean) => ({
  name: 'ici',
  mode,
  routingState: { placesAlone },
});
const worker = { id: 'worker-1', pid: 1_001, startedAt: 0 } as const;
const AWAY = [pool('sticky', true)];

describe('a new worker, while the store is away,', () => {
  test('does not start beside a worker that was ready before it and may know agents', () => {
    expect(() => requireStore(AWAY, [{ ...worker, isReady: true }])).toThrow('the store of pool ici is away');
    // As a supervisor of an earlier release reports it.
    expect(() => requireStore(AWAY, [worker])).toThrow('the store of pool ici is away');
  });

  test('starts if there is no other worker, or only workers that are starting too', () => {
    expect(() => requireStore(AWAY, [])).not.toThrow();
    expect(() => requireStore(AWAY, [{ ...worker, isReady: false }])).not.toThrow();
    expect(() =>
      requireStore(AWAY, [
        { ...worker, isReady: false },
        { ...worker, isReady: true },
      ]),
    ).toThrow();
  });

  test('starts if the pool has no bindings or the store is available', () => {
    const ready = [{ ...worker, isReady: true }];
    expect(() => requireStore([pool('failover', true), pool('sticky', false)], ready)).not.toThrow();
  });
});
