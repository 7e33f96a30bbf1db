import { beforeEach, describe, expect, test } from 'vitest';
import type { Bindings } from '../../src/affinity/bindings.ts';
import type { Binding, Placement } from '../../src/core/binding.ts';
import type { InstanceState } from '../../src/core/instance.ts';
import type { View } from '../../src/core/view.ts';
import { makeView } from '../../src/core/view.ts';
import type { Exchange } from '../../src/data-plane/exchange.ts';
import type { Pool } from '../../src/data-plane/pools.ts';
import { Router } from '../../src/data-plane/router.ts';
import { anInstance } from '../support/instances.ts';

let view: View;
let stored: Binding;
/** What happens elsewhere while the store moves the binding. */
let meanwhile: (() => void)[];
let moves: string[];

function see(...instances: InstanceState[]): void {
  view = makeView('ici', view === undefined ? 1 : view.epoch + 1, true, instances);
}

const up = (id: string, priority: number) => anInstance({ id, priority });
const down = (id: string, priority: number) => anInstance({ id, priority, health: 'down' });
const exchange = () => ({ request: { id: 'r' }, decision: 'refused', epoch: 0 }) as unknown as Exchange;

const bindings = {
  get: () => undefined,
  isTrusted: () => false,
  claim: async () => ({ binding: stored, decision: 'bound' }),
  rebind: async (_names: unknown, expected: Binding, proposal: Placement) => {
    const made = expected.generation === stored.generation;
    if (made) stored = { ...stored, ...proposal, generation: stored.generation + 1 };
    moves.push(stored.instance);
    meanwhile.shift()?.();
    return { binding: stored, decision: made ? 'rebound' : 'bound' };
  },
} as unknown as Bindings;

const pool = { name: 'ici', mode: 'failover', bindings, view: () => view } as unknown as Pool;
const router = new Router({
  view: () => view,
  onChange: () => () => {},
  suspect: () => {},
  refresh: async () => view,
});

beforeEach(() => {
  meanwhile = [];
  moves = [];
  stored = { instance: 'a', incarnation: '', root: { kind: 'pool', value: '' }, generation: 1 };
  see(down('a', 1), up('b', 2), up('c', 3));
});

describe('a binding that has to move', () => {
  test('moves on when the view changes while it moves: nobody would wake the request for that again', async () => {
    meanwhile = [() => see(down('a', 1), down('b', 2), up('c', 3))];
    expect(await router.route(pool, exchange())).toMatchObject({ to: 'c' });
    expect(moves).toEqual(['b', 'c']);
  });

  test('moves on when another gateway moves it to an instance that is down here', async () => {
    meanwhile = [
      () => {
        stored = { ...stored, instance: 'a', generation: stored.generation + 1 };
        see(down('a', 1), down('b', 2), up('c', 3));
      },
    ];
    expect(await router.route(pool, exchange())).toMatchObject({ to: 'c' });
  });

  test('is let go when two views pull it to and fro', async () => {
    const pull = (): void => {
      stored = { ...stored, instance: 'a', generation: stored.generation + 1 };
    };
    meanwhile = Array.from({ length: 100 }, () => pull);
    see(down('a', 1), up('b', 2));
    const rebind = bindings.rebind.bind(bindings);
    const pulled = {
      ...bindings,
      rebind: async (...args: Parameters<typeof rebind>) => ({ ...(await rebind(...args)), binding: stored }),
    };
    const route = await router.route({ ...pool, bindings: pulled as unknown as Bindings }, exchange());
    expect(route).toEqual({ wait: 'no-instance' });
    expect(moves.length).toBeLessThan(10);
  });
});
