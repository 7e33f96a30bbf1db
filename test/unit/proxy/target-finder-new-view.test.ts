import { describe, expect, test } from 'vitest';
import { DOWN, UP } from '../../support/agreement.ts';
import type { Side } from './target-finder-gateways.ts';
import { ALL_UP, agreement, begin, prefer, request, store } from './target-finder-gateways.ts';

describe('a view that is not in effect yet', () => {
  test('holds those whom it moves, and lets all others go on', async () => {
    const [side, other] = begin({ replicas: 2 }) as [Side, Side];
    await side.to('AT-A');
    prefer('b');
    await side.to('AT-B');
    const wayToA = await side.route(request('AT-A'));
    agreement.sees(side.replica, { ...ALL_UP, a: DOWN });
    agreement.sees(other.replica, { ...ALL_UP, a: DOWN });
    // The first tells and hears; the second proposes, and the first has not heard of it when it is asked.
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

  test('makes nobody active in a failover pool: not the one that was, and not yet the one that will be', async () => {
    const [side, other] = begin({ mode: 'failover', replicas: 2 }) as [Side, Side];
    for (const { replica } of [side, other]) agreement.sees(replica, { ...ALL_UP, a: DOWN });
    agreement.sync(side.replica);
    agreement.sync(other.replica);
    // The first has not heard of it, and could still send to the one that was.
    expect(await side.to('U')).toBe('a');
    expect(other.replica.view.active).toBe('b');
    expect(await other.waitsFor('U')).toBe('view');
    agreement.sync(side.replica);
    expect(await side.waitsFor('U')).toBe('view');
    agreement.agree();
    for (const one of [side, other]) expect(await one.to('U')).toBe('b');
  });

  test('makes a claim stale, which is then made on it', async () => {
    const [side] = begin() as [Side];
    store.meanwhile = [() => agreement.agreeOn({ ...ALL_UP, a: DOWN })];
    const context = request('U');
    expect(await side.route(context)).toMatchObject({ instance: 'b' });
    expect(store.asked).toEqual(['claim', 'claim']);
    expect(context).toMatchObject({ decision: 'claimed', sessionLost: false });
  });

  test('that follows another without end is waited for', async () => {
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
