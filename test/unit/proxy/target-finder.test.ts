import { describe, expect, test } from 'vitest';
import { createBalancer } from '../../../src/core/balancers.ts';
import { NOWHERE } from '../../../src/core/view/agreed-view.ts';
import { withMove, withoutMove } from '../../../src/core/view/policy-changes.ts';
import { errorAfterWait } from '../../../src/proxy/target-finder.ts';
import { DOWN, UP } from '../../support/agreement.ts';
import type { Side } from './target-finder-gateways.ts';
import { ALL_UP, agreement, begin, prefer, request, store } from './target-finder-gateways.ts';

describe('an agent of a sticky pool', () => {
  test('is bound once, and then needs no store lookup', async () => {
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

  test('is moved when the view loses its instance, and the request is marked', async () => {
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

  test('takes one turn when it is moved, so that the agents of a lost instance are spread', async () => {
    const [side] = begin() as [Side];
    Object.assign(side.pool, { balancer: createBalancer('round-robin'), balancerName: 'round-robin' });
    const agents = Array.from({ length: 12 }, (_, i) => `U${i}`);
    for (const agent of agents) await side.to(agent);
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    const places: string[] = [];
    for (const agent of agents) places.push(await side.to(agent));
    expect(places.filter((id) => id === 'b')).toHaveLength(6);
  });

  test('is moved when its instance has a new incarnation', async () => {
    const [side] = begin() as [Side];
    agreement.agreeOn({ ...ALL_UP, a: { ...UP, incarnation: '1' } });
    expect(await side.route(request('U'))).toMatchObject({ instance: 'a', incarnation: '1' });
    agreement.agreeOn({ ...ALL_UP, a: { ...UP, incarnation: '2' } });
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'a', incarnation: '2' });
    expect(context.sessionLost).toBe(true);
  });

  test('moves on when the view changes during the move: no later change would wake the request', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    // The claim that returns the binding comes first.
    store.meanwhile = [() => {}, () => agreement.agreeOn({ a: DOWN, b: DOWN, c: UP })];
    expect(await side.to('U')).toBe('c');
  });

  test('is looked up again after its instance was away: another gateway may have moved it', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    await one.to('U');
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    expect(await other.to('U')).toBe('b');
    agreement.agreeOn(ALL_UP);
    expect(await one.to('U')).toBe('b');
  });

  test('is not sent to the instance found before, if it may have been moved since', async () => {
    const [one, other] = begin({ replicas: 2 }) as [Side, Side];
    const way = await one.route(request('U'));
    expect(one.mayStillSend(way)).toBe(true);
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('b');
    await other.to('U');
    agreement.agreeOn(ALL_UP);
    expect(one.mayStillSend(way)).toBe(false);
  });

  test('waits if gateways move it back and forth', async () => {
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

  test('waits while no instance can take it', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    agreement.agreeOn({ a: DOWN, b: DOWN, c: DOWN });
    expect(await side.waitsFor('U')).toBe('no-instance');
    expect(await side.waitsFor('NEW')).toBe('no-instance');
    expect(await side.waitsFor(undefined)).toBe('no-instance');
  });

  test('goes to the instance that an operator moves it to, as soon as the view says so', async () => {
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

  test('waits while an operator ends its binding, and is then placed as a new one', async () => {
    const [side] = begin() as [Side];
    const way = await side.route(request('U'));
    await side.to('OTHER');
    const { length } = store.asked;
    const move = { key: 'uU', from: 'a', to: NOWHERE, until: 1e15 };
    const unknown = { ...move, key: 'uUNKNOWN' };
    for (const one of [move, unknown]) agreement.commitPolicy((policy) => withMove(policy, one, 0));

    expect(side.mayStillSend(way)).toBe(false);
    for (const user of ['U', 'UNKNOWN']) expect(await side.waitsFor(user)).toBe('view');
    expect(store.asked).toHaveLength(length);
    expect(await side.to('OTHER')).toBe('a');

    store.bindings.delete('uU');
    agreement.commitPolicy((policy) => withoutMove(policy, move, 0));
    prefer('b');
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(context).toMatchObject({ decision: 'claimed', sessionLost: false });
  });
});

describe('the store learns why', () => {
  const causeOf = (name: string) => store.causes.get(`u${name}`);
  const down = { kind: 'rebound', from: 'a', loss: 'down' };
  const restarted = { kind: 'rebound', from: 'b', loss: 'restarted' };

  test('an agent is placed, and moved when its instance has lost it', async () => {
    const [side] = begin() as [Side];
    agreement.agreeOn({ ...ALL_UP, b: { ...UP, incarnation: '1' } });
    await side.to('U');
    expect(causeOf('U')).toEqual({ kind: 'claimed', balancer: 'rendezvous' });

    prefer('b');
    agreement.agreeOn({ a: DOWN, b: { ...UP, incarnation: '1' }, c: UP });
    await side.to('U');
    expect(causeOf('U')).toEqual(down);

    agreement.agreeOn({ a: DOWN, b: { ...UP, incarnation: '2' }, c: UP });
    await side.to('U');
    expect(causeOf('U')).toEqual(restarted);
  });

  test('an agent is moved by an operator, also if a request of the agent comes first', async () => {
    const [side] = begin() as [Side];
    await side.to('U');
    const move = { key: 'uU', from: 'a', to: 'c', until: 1e15 };
    agreement.commitPolicy((policy) => withMove(policy, { ...move, by: 'KLEIN', why: 'echo' }, 0));
    await side.to('U');
    expect(causeOf('U')).toEqual({ kind: 'moved', by: 'KLEIN', why: 'echo' });

    // A gateway of an earlier release begins a move without saying who and why.
    agreement.commitPolicy((policy) => withMove(policy, { ...move, to: 'b' }, 0));
    await side.to('U');
    expect(causeOf('U')).toEqual({ kind: 'moved', by: '', why: '' });
  });
});

describe('the lease', () => {
  test('is renewed once it has ended, and the known agent goes on without the store', async () => {
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
    'that cannot be renewed makes all requests of a %s pool wait, with the reason',
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
  test('keeps its agents: they get an error, and none is moved', async () => {
    const [side, ...peers] = begin({ replicas: 3, cutOffMs: 0 }) as [Side, Side, Side];
    const before = await side.route(request('U'));
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    await expect(side.to('U')).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    expect(side.mayStillSend(before)).toBe(false);
    for (const peer of peers) expect(await peer.to('U')).toBe('a');
    expect(store.asked).not.toContain('rebind');
  });

  test('gets no new agents from here, and no requests without names', async () => {
    const [side] = begin({ replicas: 3, cutOffMs: 0 }) as [Side];
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    expect(await side.to('NEW')).not.toBe('a');
    expect((await side.route(request())).instance).not.toBe('a');
  });

  test('may be the only kind left: then this gateway refuses new agents that others can place', async () => {
    const [side] = begin({ replicas: 3, cutOffMs: 0 }) as [Side];
    agreement.sees(side.replica, { a: DOWN, b: DOWN, c: DOWN });
    agreement.agree();
    for (const user of ['NEW', undefined]) {
      await expect(side.route(request(user))).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    }
  });

  test('stays active in a failover pool, and all its requests get an error', async () => {
    const [side, peer] = begin({ mode: 'failover', replicas: 3, cutOffMs: 0 }) as [Side, Side];
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.agree();
    await expect(side.to('U')).rejects.toMatchObject({ code: 'GW_INSTANCE_CUT_OFF' });
    expect(await peer.to('U')).toBe('a');
  });
});

describe('a failover pool', () => {
  test('sends all requests to the active instance without a store lookup', async () => {
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

  test('sends nothing to a target that was found before the active instance changed', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    const way = await side.route(request());
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    agreement.agreeOn(ALL_UP);
    expect(side.mayStillSend(way)).toBe(false);
  });

  test('waits while no instance can be active', async () => {
    const [side] = begin({ mode: 'failover' }) as [Side];
    agreement.agreeOn({ a: DOWN, b: DOWN, c: DOWN });
    expect(await side.waitsFor('U')).toBe('no-instance');
  });

  test('binds agents that are to get a Fault after a failover, and still serves requests without names', async () => {
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
