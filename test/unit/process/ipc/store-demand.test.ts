import { describe, expect, test } from 'vitest';
import { demandStore } from '../../../../src/process/ipc/store-demand.ts';

const pool = (mode: 'sticky' | 'failover', placesAlone: boolean) => ({
  name: 'ici',
  mode,
  routingState: { placesAlone },
});
const worker = { id: 'worker-1', pid: 1_001, startedAt: 0 } as const;
const AWAY = [pool('sticky', true)];

describe('a new worker, while the store is away,', () => {
  test('does not begin beside one that was ready before it, who may know agents', () => {
    expect(() => demandStore(AWAY, [{ ...worker, isReady: true }])).toThrow('the store of pool ici is away');
    // As a supervisor of an earlier version tells it.
    expect(() => demandStore(AWAY, [worker])).toThrow('the store of pool ici is away');
  });

  test('begins where there is no other, or only such as start too', () => {
    expect(() => demandStore(AWAY, [])).not.toThrow();
    expect(() => demandStore(AWAY, [{ ...worker, isReady: false }])).not.toThrow();
    expect(() =>
      demandStore(AWAY, [
        { ...worker, isReady: false },
        { ...worker, isReady: true },
      ]),
    ).toThrow();
  });

  test('begins where nobody is bound, or the store is not away', () => {
    const ready = [{ ...worker, isReady: true }];
    expect(() => demandStore([pool('failover', true), pool('sticky', false)], ready)).not.toThrow();
  });
});
