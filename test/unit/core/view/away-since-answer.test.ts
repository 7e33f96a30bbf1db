import { expect, test } from 'vitest';
import { ViewStore } from '../../../../src/core/view/view-store.ts';
import { aReplica } from '../../../support/replicas.ts';

const at = (ms: number) => ({ mono: ms, wall: ms });

test('the silence of the store counts from its last answer, also for an earlier request', () => {
  const viewStore = new ViewStore({ leaseMs: 1_000, joinMs: 0 });
  const replica = aReplica({ leaseMs: 1_000, onStoreLoss: 'continue', awayMs: 600 });
  for (const [sent, answered] of [
    [0, 1],
    [400, 401],
    [1_000, 1_010],
  ] as const) {
    const request = replica.request(at(sent));
    replica.accept(request, viewStore.sync(request, 'g', sent), at(sent), at(answered));
    replica.restored('g');
  }

  replica.doubtStore(at(1_400), { since: 900 });
  replica.failed(at(1_600), { since: 1_500 });
  expect(replica.isAway).toBe(false);

  replica.failed(at(1_750), { since: 1_650 });
  expect(replica.isAway).toBe(true);
});
