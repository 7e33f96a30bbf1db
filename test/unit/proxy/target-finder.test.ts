import { describe, expect, test } from 'vitest';
import { withMove } from '../../../src/core/view/policy-changes.ts';
import { errorAfterWait } from '../../../src/proxy/target-finder.ts';
import { DOWN, UP } from '../../support/agreement.ts';
import type { Side } from './target-finder-gateways.ts';
import { ALL_UP, agreement, begin, prefer, request, store } from './target-finder-gateways.ts';

describe('an agent of a sticky pool', () => {
  test('is bound once, and then goes there without anybody being asked', async () => {
    const [side] = begin() as [Side];
    const first = request('U');
    expect(await side.route(first)).toMatchObject({ instance: 'a' });
    expect(first.decision).toBe('claimed');
    prefer('b');
    const second = request('U');
    expect(await side.route(second)).toMatchObject({ instance: 'a' });
    expect(second.decision).toBe('bound');
    expect(store.asked).toEqual(['claim']);
    expect(side.renewals).toBe(0);
  });

  test('is moved when the view says that his instance is lost, and that is remembered of the request', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(context).toMatchObject({ decision: 'rebound', sessionLost: true });
    const next = request('U');
    expect(await side.route(next)).toMatchObject({ instance: 'b' });
    expect(next).toMatchObject({ decision: 'bound', sessionLost: false });
  });

  test('is moved when his instance has begun another life', async () => {
    const [side] = begin() as [Side];
    agreement.agreeOn({ ...ALL_UP, a: { ...UP, incarnation: '1' } });
    expect(await side.route(request('U'))).toMatchObject({ instance: 'a', incarnation: '1' });
    agreement.agreeOn({ ...ALL_UP, a: { ...UP, incarnation: '2' } });
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'a', incarnation: '2' });
    expect(context.sessionLost).toBe(true);
  });

  test('moves on when the view changes while he moves: nobody would wake the request for that again', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    // The claim that learns the binding comes first.
    store.meanwhile = [() => {}, () => agreement.agreeOn({ a: DOWN, b: DOWN, c: UP })];
    expect(await side.to('U')).toBe('c');
  });

  test('is asked for again after his instance was away: he may have been moved by another gateway', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    await one.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    expect(await other.to('U')).toBe('b');
    agreement.agreeOn(ALL_UP);
    expect(await one.to('U')).toBe('b');
  });

  test('does not go where he was bound when the request was routed, if he may have been moved since', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    const way = await one.route(request('U'));
    expect(one.mayStillSend(way)).toBe(true);
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    await other.to('U');
    agreement.agreeOn(ALL_UP);
    expect(one.mayStillSend(way)).toBe(false);
  });

  test('waits where gateways pull him to and fro', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    const pull = (): void => {
      const held = [...store.bindings.values()][0];
      if (held !== undefined) store.hold(held.root, { instance: 'a', incarnation: '' }, held.generation + 1);
    };
    store.meanwhile = Array.from({ length: 100 }, () => pull);
    expect(await side.waitsFor('U')).toBe('view');
    expect(store.asked.length).toBeLessThan(20);
  });

  test('waits while nobody can take him', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ a: DOWN, b: DOWN, c: DOWN });
    expect(await side.waitsFor('U')).toBe('no-instance');
    expect(await side.waitsFor('NEW')).toBe('no-instance');
    expect(await side.waitsFor(undefined)).toBe('no-instance');
  });

  test('goes to the one instance that an operator moves him to, as soon as the view says so', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    await side.to('OTHER');
    agreement.commitPolicy((policy) => withMove(policy, { key: 'uU', from: 'a', to: 'c', until: 1e15 }, 0));
    const way = await side.route(request('U'));
    expect(way.instance).toBe('c');
    expect(side.mayStillSend(way)).toBe(true);
    expect(side.mayStillSend({ ...way, instance: 'a' })).toBe(false);
    expect(await side.to('OTHER')).toBe('a');
  });
});

describe('the lease', () => {
  test('is asked for once it has ended, and the known agent goes on without the store', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    side.replica.dropLease();
    expect(await side.to('U')).toBe('a');
    expect(side.renewals).toBe(1);
    expect(store.asked).toEqual(['claim']);
  });

  test('is checked again before the first byte', async () => {
    const [side] = begin() as [Side];
    const way = await side.route(request('U'));
    const unbound = await side.route(request());
    side.replica.dropLease();
    expect(side.mayStillSend(way)).toBe(false);
    expect(side.mayStillSend(unbound)).toBe(false);
  });

  test.each(['sticky', 'failover'] as const)(
    'cannot be renewed: everything of a %s pool waits, and is told why',
    async (mode) => {
      const [side] = begin({ mode, onStoreLoss: 'refuse' }) as [Side];
      await side.to('U');
      agreement.isAway = true;
      store.isAway = true;
      side.replica.dropLease();
      for (const user of ['U', 'NEW', undefined]) expect(await side.waitsFor(user)).toBe('lease');
      const route = await side.targets.find(side.pool, request('U'));
      expect('wait' in route && errorAfterWait(route, side.replica)).toBe('GW_AFFINITY_UNAVAILABLE');
    },
  );
});

describe('an instance that this gateway alone cannot reach', () => {
  test('keeps its agents: they are told, and nobody is moved', async () => {
    const [side, ...peers] = begin({ replicas: 3, cutOffMs: 0 }) as [Side, Side, Side];
    const before = await side.route(request('U'));
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    await expect(side.to('U')).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    expect(side.mayStillSend(before)).toBe(false);
    for (const peer of peers) expect(await peer.to('U')).toBe('a');
    expect(store.asked).not.toContain('rebind');
  });

  test('is given no new agents from here, nor requests that name nobody', async () => {
    const [side] = begin({ replicas: 3, cutOffMs: 0 }) as [Side];
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    expect(await side.to('NEW')).not.toBe('a');
    expect((await side.route(request())).instance).not.toBe('a');
  });

  test('may be all there are: then the other gateways can place whom this one cannot', async () => {
    const [side] = begin({ replicas: 3, cutOffMs: 0 }) as [Side];
    agreement.sees(side.replica, { a: DOWN, b: DOWN, c: DOWN });
    agreement.agree();
    for (const user of ['NEW', undefined]) {
      await expect(side.route(request(user))).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    }
  });

  test('is the active one of a failover pool: all are told, and it stays active', async () => {
    const [side, peer] = begin({ mode: 'failover', replicas: 3, cutOffMs: 0 }) as [Side, Side];
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    await expect(side.to('U')).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    expect(await peer.to('U')).toBe('a');
  });
});

describe('a failover pool', () => {
  test('sends everybody to the active instance, and asks nobody', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'a', root: undefined });
    expect(context.decision).toBe('bound');
    expect((await side.route(request())).instance).toBe('a');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    expect(await side.to('U')).toBe('b');
    agreement.agreeOn(ALL_UP);
    expect(await side.to('U')).toBe('b');
    expect(store.asked).toEqual([]);
  });

  test('sends nothing on a way that was found before the active instance changed', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    const way = await side.route(request());
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    agreement.agreeOn(ALL_UP);
    expect(side.mayStillSend(way)).toBe(false);
  });

  test('waits while nobody can be active', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    agreement.agreeOn({ a: DOWN, b: DOWN, c: DOWN });
    expect(await side.waitsFor('U')).toBe('no-instance');
  });

  test('binds agents where they are to be told of a failover, and serves who names nobody all the same', async () => {
    const [side] = begin({ mode: 'failover', answer: 'fault' }) as [Side];
    prefer('c');
    expect(await side.to('U')).toBe('a');
    expect((await side.route(request())).instance).toBe('a');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(context).toMatchObject({ decision: 'rebound', sessionLost: true });
  });
});
