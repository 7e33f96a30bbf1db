import { afterEach, describe, expect, test, vi } from 'vitest';
import { rendezvous } from '../../../src/core/balancers.ts';
import { NOWHERE } from '../../../src/core/view/agreed-view.ts';
import { withMove } from '../../../src/core/view/policy-changes.ts';
import { DOWN } from '../../support/agreement.ts';
import type { Side } from './target-finder-gateways.ts';
import { ALL_UP, agreement, begin, leaseEnds, prefer, request, store } from './target-finder-gateways.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a store that does not answer', () => {
  /** Lets the store fail until the gateway takes it for away. */
  const away = (side: Side): void => {
    agreement.isAway = true;
    store.isAway = true;
    for (let i = 0; i < 3; i += 1) agreement.sync(side.replica);
  };

  test('is asked again once the view store has answered: it was a single failure', async () => {
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

  test('makes no gateway place alone while the view store answers: the others go on claiming', async () => {
    const [side] = begin() as [Side];
    store.isAway = true;
    const route = await side.targets.find(side.pool, request('U'));
    expect(route).toMatchObject({ wait: 'store' });
    expect('wait' in route && route.againMs !== undefined).toBe(true);
    expect(store.asked).toEqual(['claim', 'claim']);
  });

  test('leaves known agents where they are; all gateways place unknown ones by the same hash', async () => {
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

  test('holds an agent that may have been moved, as long as other gateways may act on their leases', async () => {
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

  test('leaves an agent where it is whose binding an operator was about to end', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    const move = { key: 'uU', from: 'a', to: NOWHERE, until: 1e15 };
    agreement.commitPolicy((policy) => withMove(policy, move, 0));
    away(side);
    expect(await side.waitsFor('U')).toBe('view');
    leaseEnds();
    prefer('b');
    agreement.sync(side.replica);
    expect(await side.to('U')).toBe('a');
  });

  test('moves the agents of an instance that this gateway finds down', async () => {
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

  test('places no agent with onStoreLoss refuse; known agents are served while the lease holds', async () => {
    const [side] = begin({ onStoreLoss: 'refuse' }) as [Side];
    await side.to('KNOWN');
    away(side);
    expect(await side.to('KNOWN')).toBe('a');
    expect(await side.waitsFor('NEW')).toBe('store');
    leaseEnds();
    expect(await side.waitsFor('KNOWN')).toBe('lease');
  });
});
