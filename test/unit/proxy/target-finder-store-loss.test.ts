import { afterEach, describe, expect, test, vi } from 'vitest';
import { rendezvous } from '../../../src/core/balancers.ts';
import { DOWN } from '../../support/agreement.ts';
import type { Side } from './target-finder-gateways.ts';
import { ALL_UP, agreement, begin, leaseEnds, prefer, request, store } from './target-finder-gateways.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a store that does not answer', () => {
  /** Until the gateway believes it. */
  const away = (side: Side): void => {
    agreement.isAway = true;
    store.isAway = true;
    for (let i = 0; i < 3; i += 1) agreement.sync(side.replica);
  };

  test('is asked again once the ledger has answered: it was a single failure', async () => {
    const [side] = begin() as [Side];
    store.isAway = true;
    store.meanwhile = [
      () => {},
      () => {
        store.isAway = false;
      },
    ];
    expect(await side.to('U')).toBe('a');
    expect(store.asked).toEqual(['claim', 'claim']);
  });

  test('places nobody by itself as long as its ledger answers: the other gateways go on claiming', async () => {
    const [side] = begin() as [Side];
    store.isAway = true;
    const route = await side.targets.find(side.pool, request('U'));
    expect(route).toMatchObject({ wait: 'store' });
    expect('wait' in route && Number.isFinite(route.againMs)).toBe(true);
    expect(store.asked).toEqual(['claim', 'claim']);
  });

  test('leaves known agents where they are, and unknown ones to a hash that all gateways share', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    await one.to('KNOWN');
    for (const side of [one, other]) away(side);
    for (const ended of [false, true]) {
      if (ended) leaseEnds();
      expect(await one.to('KNOWN')).toBe('a');
      for (const user of ['U1', 'U2', 'U3', 'U4', 'U5', 'U6']) {
        const expected = rendezvous(one.replica.candidates, `u${user}`)?.id;
        for (const side of [one, other, one]) expect(await side.to(user)).toBe(expected);
      }
    }
    const context = request('ONE-MORE');
    await one.route(context);
    expect(context.decision).toBe('storeless');
  });

  test('lets nobody go where he may have been moved from, as long as others may act on their leases', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    await one.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    await other.to('U');
    agreement.agreeOn(ALL_UP);
    away(one);
    expect(await one.waitsFor('U')).toBe('store');
    leaseEnds();
    expect(await one.to('U')).toBe('a');
  });

  test('does not keep the agents of an instance that this gateway finds lost', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    away(side);
    leaseEnds();
    agreement.sync(side.replica);
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    const context = request('U');
    expect((await side.route(context)).instance).not.toBe('a');
    expect(context).toMatchObject({ decision: 'rebound', sessionLost: true });
  });

  test('places nobody where the pool is told to refuse; known agents are served while the lease holds', async () => {
    const [side] = begin({ onStoreLoss: 'refuse' }) as [Side];
    await side.to('KNOWN');
    away(side);
    expect(await side.to('KNOWN')).toBe('a');
    expect(await side.waitsFor('NEW')).toBe('store');
    leaseEnds();
    expect(await side.waitsFor('KNOWN')).toBe('lease');
  });
});
