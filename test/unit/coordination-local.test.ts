import { beforeEach, describe, expect, test } from 'vitest';
import type { Transition } from '../../src/coordination/local-coordinator.ts';
import { LocalCoordinator } from '../../src/coordination/local-coordinator.ts';
import type { View } from '../../src/core/view.ts';

const POOL = 'ici';
const passed = (incarnation = '') => ({ passed: true, incarnation });
const failed = { passed: false, incarnation: '', reason: 'ECONNREFUSED' };

let transitions: Transition[];
let views: View[];
let coordinator: LocalCoordinator;

beforeEach(() => {
  transitions = [];
  views = [];
  coordinator = new LocalCoordinator(
    [
      {
        name: POOL,
        thresholds: { rise: 2, fall: 3 },
        instances: ['a', 'b'].map((id, i) => ({ id, weight: 1, priority: i + 1, admin: 'enabled' as const })),
      },
    ],
    (transition) => transitions.push(transition),
  );
  coordinator.onChange(POOL, (view) => views.push(view));
});

describe('a gateway that decides for itself', () => {
  test('publishes a view with a greater epoch for every change, and none where nothing changed', () => {
    coordinator.observed(POOL, 'a', passed());
    coordinator.observed(POOL, 'a', passed());
    coordinator.observed(POOL, 'a', failed);
    coordinator.observed(POOL, 'a', failed);
    expect(views.map(({ epoch }) => epoch)).toEqual([2]);
    coordinator.observed(POOL, 'a', failed);
    expect(views.map(({ epoch }) => epoch)).toEqual([2, 3]);
    expect(coordinator.view(POOL).instances.get('a')?.health).toBe('down');
    expect(transitions.at(-1)).toMatchObject({ reason: 'ECONNREFUSED', epoch: 3 });
  });

  test('a view once read does not change', () => {
    coordinator.observed(POOL, 'a', passed());
    const before = coordinator.view(POOL);
    for (let i = 0; i < 3; i += 1) coordinator.observed(POOL, 'a', failed);
    expect(before.instances.get('a')?.health).toBe('up');
    expect(before.assignable.map(({ id }) => id)).toEqual(['a']);
  });

  test('is not settled before it is told so', () => {
    coordinator.observed(POOL, 'a', passed());
    expect(coordinator.view(POOL).settled).toBe(false);
    coordinator.settle(POOL);
    expect(coordinator.view(POOL).settled).toBe(true);
    const { epoch } = coordinator.view(POOL);
    coordinator.settle(POOL);
    expect(coordinator.view(POOL).epoch).toBe(epoch);
  });

  test('a new incarnation makes the one before it past, and is a change although health is not', () => {
    coordinator.observed(POOL, 'a', passed('1'));
    coordinator.observed(POOL, 'a', passed('2'));
    expect(coordinator.view(POOL).instances.get('a')).toMatchObject({ incarnation: '2', past: ['1'] });
    expect(views.length).toBe(2);
  });

  test('a health page that shows nothing for once does not end a life', () => {
    coordinator.observed(POOL, 'a', passed('1'));
    coordinator.observed(POOL, 'a', passed(''));
    expect(coordinator.view(POOL).instances.get('a')).toMatchObject({ incarnation: '1', past: [] });
  });

  test('remembers a bounded number of past lives', () => {
    for (let life = 0; life < 100; life += 1) coordinator.observed(POOL, 'a', passed(String(life)));
    const past = coordinator.view(POOL).instances.get('a')?.past ?? [];
    expect(past.length).toBeLessThan(32);
    expect(past.at(-1)).toBe('98');
  });

  describe('asked about a life that it does not know', () => {
    test('looks afresh, and writes the life down as past when the instance is in another one', async () => {
      coordinator.observed(POOL, 'a', passed('2'));
      coordinator.attach(POOL, { hasten: () => {}, probeNow: async () => true });
      const view = await coordinator.refresh(POOL, 'a', '1');
      expect(view.instances.get('a')?.past).toEqual(['1']);
    });

    test('does not condemn it when the instance could not be looked at', async () => {
      coordinator.observed(POOL, 'a', passed('2'));
      coordinator.attach(POOL, { hasten: () => {}, probeNow: async () => false });
      const view = await coordinator.refresh(POOL, 'a', '3');
      expect(view.instances.get('a')?.past).toEqual([]);
    });

    test('learns that it is the present one', async () => {
      coordinator.observed(POOL, 'a', passed('2'));
      coordinator.attach(POOL, {
        hasten: () => {},
        probeNow: async () => {
          coordinator.observed(POOL, 'a', passed('3'));
          return true;
        },
      });
      const view = await coordinator.refresh(POOL, 'a', '3');
      expect(view.instances.get('a')).toMatchObject({ incarnation: '3', past: ['2'] });
    });
  });
});
