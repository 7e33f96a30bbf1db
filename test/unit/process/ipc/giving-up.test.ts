import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { RoutingStateUpdate } from '../../../../src/process/ipc/messages.ts';
import { RemoteCoordinator } from '../../../../src/process/ipc/remote-coordinator.ts';
import { aSnapshot } from '../../../support/snapshots.ts';

/** The order in which a worker changes to another view. */

test('a worker acts on a view, then reads responses that have arrived, then gives up requests, and acknowledges the view last', async () => {
  const order: string[] = [];
  const coordinator = new RemoteCoordinator({
    pools: [{ name: 'ici', mode: 'sticky', instances: new Set(['a', 'b']) }],
    onAdopted: (_pool, viewId) => order.push(`adopted ${viewId}`),
    onSuspect: () => undefined,
    controller: { renew: async () => undefined, storeFailed: async () => undefined },
  });
  coordinator.beforeAdopting('ici', () =>
    order.push(`gave up in ${coordinator.routingState('ici').view.epoch}`),
  );
  const update = (epoch: number): RoutingStateUpdate => ({
    kind: 'bulletin',
    pool: 'ici',
    standing: aSnapshot(
      { leaseEnd: { mono: performance.now() + 60_000, wall: Date.now() + 60_000 } },
      'ici',
      epoch,
    ),
    counts: new Map(),
    knowledge: {} as RoutingStateUpdate['knowledge'],
  });

  coordinator.apply(update(1));
  expect(coordinator.routingState('ici').view.epoch).toBe(1);
  expect(order).toEqual([]);
  await turn();
  expect(order).toEqual(['gave up in 1', 'adopted 1.x']);

  // A repeated update must not acknowledge the view before the worker has acted on the first one.
  coordinator.apply(update(2));
  coordinator.apply(update(2));
  expect(order).toHaveLength(2);
  await turn();
  expect(order.slice(2)).toEqual(['gave up in 2', 'adopted 2.x', 'gave up in 2', 'adopted 2.x']);
});
