import { describe, expect, test } from 'vitest';
import { DOWN, UP } from '../../support/agreement.ts';
import type { Side } from './target-finder-gateways.ts';
import { ALL_UP, agreement, begin, prefer, request, store } from './target-finder-gateways.ts';

describe('a view that is not in effect yet', () => {
  test('holds the agents that it moves, and lets all others go on', async () => {
    const [side, other] = begin({ replicas: 2 }) as [Side, Side];
    await side.to('AT-A');
    prefer('b');
    await side.to('AT-B');
    const wayToA = await side.route(request('AT-A'));
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.sees(other.replica, { ...ALL_UP, a: DOWN });
    // The first gateway syncs; then the second proposes a view that the first does not know yet.
    agreement.sync(side.replica);
    agreement.sync(other.replica);
    expect(side.mayStillSend(wayToA)).toBe(true);
    expect(await other.waitsFor('AT-A')).toBe('view');
    expect(await side.to('AT-B')).toBe('b');

    agreement.sync(side.replica);
    expect(side.replica.before).toBeDefined();
    expect(side.mayStillSend(wayToA)).toBe(false);
    expect(await side.waitsFor('AT-A')).toBe('view');
    expect(await side.waitsFor('NEW')).toBe('view');
    expect(await side.to('AT-B')).toBe('b');

    agreement.agree();
    expect(await side.to('AT-A')).toBe('b');
  });

  test('leaves a failover pool without an active instance: neither the old one nor the new one', async () => {
    const [side, other] = begin({ mode: 'failover', replicas: 2 }) as [Side, Side];
    for (const { replica } of [side, other]) agreement.sees(replica, { ...ALL_UP, a: DOWN });
    agreement.sync(side.replica);
    agreement.sync(other.replica);
    // The first gateway does not know it yet, and could still send to the old instance.
    expect(await side.to('U')).toBe('a');
    expect(other.replica.view.active).toBe('b');
    expect(await other.waitsFor('U')).toBe('view');
    agreement.sync(side.replica);
    expect(await side.waitsFor('U')).toBe('view');
    agreement.agree();
    for (const one of [side, other]) expect(await one.to('U')).toBe('b');
  });

  test('makes a claim stale, which is then repeated with it', async () => {
    const [side] = begin() as [Side];
    store.meanwhile = [() => agreement.agreeOn({ ...ALL_UP, a: DOWN })];
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(store.asked).toEqual(['claim', 'claim']);
    expect(context).toMatchObject({ decision: 'claimed', sessionLost: false });
  });

  test('that is always followed by another one makes requests wait', async () => {
    const [side] = begin() as [Side];
    let up = true;
    store.meanwhile = Array.from({ length: 100 }, () => () => {
      up = !up;
      agreement.agreeOn({ ...ALL_UP, c: up ? UP : DOWN });
    });
    expect(await side.waitsFor('U')).toBe('view');
    expect(store.asked.length).toBeLessThan(10);
  });
});
