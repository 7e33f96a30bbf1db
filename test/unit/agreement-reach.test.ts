import { describe, expect, test } from 'vitest';
import type { Opinion } from '../../src/core/agreement/opinion.ts';
import { Reach } from '../../src/core/agreement/reach.ts';
import { DOWN, UP } from '../support/agreement.ts';
import { anInstance, aView } from '../support/instances.ts';

const says = (a: typeof UP): Opinion => ({ verdicts: { a, b: UP }, settled: true, idle: false });
const bothUp = aView(anInstance({ id: 'a' }), anInstance({ id: 'b' }));
const ids = (some: Iterable<{ id: string }>): string[] => [...some].map(({ id }) => id);

describe('what one replica cannot reach', () => {
  test('is what it alone calls down, and takes no new agents from here', () => {
    const reach = new Reach(100);
    reach.compare(bothUp, says(DOWN));
    expect([...reach.unreachable]).toEqual(['a']);
    expect(ids(reach.candidates)).toEqual(['b']);
  });

  test('is not what all call down', () => {
    const reach = new Reach(100);
    reach.compare(aView(anInstance({ id: 'a', health: 'down' }), anInstance({ id: 'b' })), says(DOWN));
    expect([...reach.unreachable]).toEqual([]);
  });

  test('is nothing while it abstains', () => {
    const reach = new Reach(100);
    reach.compare(bothUp, says(DOWN));
    reach.compare(bothUp, undefined);
    expect([...reach.unreachable]).toEqual([]);
    expect(ids(reach.candidates)).toEqual(['a', 'b']);
  });

  test('is cut off once it has been so without a break for long enough', () => {
    const reach = new Reach(100);
    const at = (mono: number, a: typeof UP): [boolean, string[]] => {
      reach.compare(bothUp, says(a));
      return [reach.tick(mono), [...reach.cutOff]];
    };
    expect(at(0, DOWN)).toEqual([false, []]);
    expect(at(99, DOWN)).toEqual([false, []]);
    expect(at(100, DOWN)).toEqual([true, ['a']]);
    expect(at(101, DOWN)).toEqual([false, ['a']]);
    expect(at(102, UP)).toEqual([true, []]);
    expect(at(150, DOWN)).toEqual([false, []]);
    expect(at(249, DOWN)).toEqual([false, []]);
    expect(at(250, DOWN)).toEqual([true, ['a']]);
  });
});
