import { describe, expect, test } from 'vitest';
import { checkTarget } from '../../../../src/core/target.ts';
import type { RoutingStateSnapshot } from '../../../../src/core/view/routing-state-copy.ts';
import { RoutingStateCopy } from '../../../../src/core/view/routing-state-copy.ts';
import { anInstance } from '../../../support/instances.ts';
import { aSnapshot as someSnapshot } from '../../../support/snapshots.ts';

const WALL = 1_000_000;
const a = anInstance({ id: 'a' });

const aSnapshot = (changes: Partial<RoutingStateSnapshot> = {}, epoch = 1): RoutingStateSnapshot =>
  someSnapshot({ leaseEnd: { mono: 5_000, wall: WALL + 1_000 }, ...changes }, 'ici', epoch);

const aCopy = (offsetMs = 0, known = ['a', 'b']) =>
  new RoutingStateCopy({ pool: 'ici', mode: 'sticky' }, offsetMs, (id) => known.includes(id));
const toA = { instance: 'a', incarnation: '' };

describe('a worker’s copy of the routing state', () => {
  test('allows nothing before the first update', () => {
    const copy = aCopy();
    expect(copy.view.settled).toBe(false);
    expect(checkTarget(copy, toA, 0, WALL)).toBe('renew');
  });

  test('ends with the lease, by either clock', () => {
    const copy = aCopy();
    copy.apply(aSnapshot(), 0, WALL);
    expect(checkTarget(copy, toA, 4_999, WALL)).toBe('forward');
    expect(checkTarget(copy, toA, 5_000, WALL)).toBe('renew');
    expect(checkTarget(copy, toA, 0, WALL + 1_000)).toBe('renew');
  });

  test('reads the end of the lease by its own process’s clock', () => {
    const copy = aCopy(4_000);
    copy.apply(aSnapshot(), 0, WALL);
    expect(copy.modeAt(999, WALL)).toBe('leased');
    expect(copy.modeAt(1_000, WALL)).toBe('waiting');
  });

  test('distinguishes a longer lease from news', () => {
    const copy = aCopy();
    expect(copy.apply(aSnapshot(), 0, WALL)).toBe(true);
    const { view } = copy;
    const longer = { mono: 6_000, wall: WALL + 2_000 };
    expect(copy.apply(aSnapshot({ leaseEnd: longer }), 0, WALL)).toBe(false);
    expect(copy.view).toBe(view);
    expect(copy.modeAt(5_500, WALL)).toBe('leased');
    // A new lease after the end of one is news: requests wait for it.
    expect(copy.apply(aSnapshot({ leaseEnd: { mono: 9_000, wall: WALL + 5_000 } }), 7_000, WALL)).toBe(true);
    for (const change of [
      { fence: '' },
      { isBlocked: true },
      { placesAlone: true },
      { cutOff: new Set(['a']) },
    ]) {
      expect(
        copy.apply(aSnapshot({ ...change, leaseEnd: { mono: 9_000, wall: WALL + 5_000 } }), 0, WALL),
      ).toBe(true);
    }
  });

  test('proposes no instance that its process cannot send to', () => {
    const copy = aCopy(0, ['a']);
    copy.apply(aSnapshot(), 0, WALL);
    expect(copy.candidates.map(({ id }) => id)).toEqual(['a']);
    expect(checkTarget(copy, { instance: 'b', incarnation: '' }, 0, WALL)).toBe('cut-off');
  });

  test('allows an instance that its process can send to, whatever other processes have', () => {
    const copy = aCopy();
    const ofOthers = anInstance({ id: 'b', weight: 0 });
    const { view } = aSnapshot();
    const known = new Map([...view.instances, ['b', ofOthers] as const]);
    copy.apply(aSnapshot({ view: { ...view, instances: known }, candidates: [a] }), 0, WALL);
    expect(checkTarget(copy, { instance: 'b', incarnation: '' }, 0, WALL)).toBe('forward');
    expect(copy.candidates.map(({ id }) => id)).toEqual(['a']);
  });

  test('may not be acted on after its process stood still, until the next update', () => {
    const copy = aCopy();
    copy.apply(aSnapshot(), 0, WALL);
    copy.dropLease();
    expect(checkTarget(copy, toA, 0, WALL)).toBe('renew');
    expect(copy.apply(aSnapshot(), 0, WALL)).toBe(true);
    expect(checkTarget(copy, toA, 0, WALL)).toBe('forward');
  });
});
