import { expect, test } from 'vitest';
import { snapshotOf } from '../../../../src/core/view/routing-state-copy.ts';
import type { SyncReply } from '../../../../src/core/view/view-store.ts';
import { ViewStore } from '../../../../src/core/view/view-store.ts';
import { aReplica } from '../../../support/replicas.ts';

const LEASE_MS = 60_000;
const SENT = { mono: 0, wall: 0 };

/** One gateway, alone at its view store, whose workers act on its view. */
function aGateway(awaitsConfirmation: boolean, onStoreLoss: 'continue' | 'refuse' = 'refuse') {
  const viewStore = new ViewStore({ leaseMs: LEASE_MS, joinMs: 0 });
  let now = 0;
  const replica = aReplica({ leaseMs: LEASE_MS, onStoreLoss, awaitsConfirmation });
  replica.setReport({
    verdicts: { a: { health: 'up', incarnation: '', emptyAt: 0 } },
    settled: true,
    idle: false,
  });
  const sync = (): void => {
    const request = replica.request(SENT);
    replica.accept(request, viewStore.sync(request, 'generation', now), SENT, SENT);
    replica.restored('generation');
    const proposal = replica.proposal(() => undefined);
    if (proposal !== undefined && viewStore.propose(proposal, 'generation', now))
      replica.proposed(proposal.view, SENT);
  };
  // A view store that knows no replica waits for the end of any lease that there may have been.
  for (; now <= LEASE_MS; now += LEASE_MS / 3) sync();
  expect(replica.agreed.epoch).toBe(1);
  return { replica, sync, viewStore };
}

test('a view that workers act on takes effect once they have adopted it, not before', () => {
  const { replica, sync } = aGateway(true);
  for (let i = 0; i < 3; i += 1) sync();
  expect([replica.request(SENT).viewId, replica.isEffective, replica.fencingToken]).toEqual(['', false, '']);
  expect(replica.hasNews).toBe(false);

  // For an earlier view, which does not count for this one.
  replica.confirm('');
  sync();
  expect(replica.isEffective).toBe(false);

  replica.confirm(replica.agreed.id);
  expect(replica.hasNews).toBe(true);
  sync();
  expect([replica.request(SENT).viewId, replica.isEffective]).toEqual([replica.agreed.id, true]);
});

test('a view that no other process acts on takes effect at once', () => {
  const { replica, sync } = aGateway(false);
  sync();
  expect([replica.request(SENT).viewId, replica.isEffective]).toEqual([replica.agreed.id, true]);
});

test('the view before may be acted on beside its direct successor, but not beside a later one', () => {
  for (const [epoch, isBlocked] of [
    [2, false],
    [3, true],
  ] as const) {
    const { replica, sync } = aGateway(false);
    sync();
    const request = replica.request(SENT);
    expect([replica.isEffective, request.held]).toEqual([true, true]);
    const view = { ...replica.agreed, epoch, id: `${epoch}.other` };
    const reply: SyncReply = {
      now: 0,
      storeGeneration: 'generation',
      open: true,
      granted: true,
      keeps: false,
      epoch,
      viewId: view.id,
      effective: false,
      // The token of the view before, which is not valid for this one.
      fencingToken: '1.x:generation',
      view,
      wantsState: false,
      reportsVersion: 1,
      reports: undefined,
      replicas: 2,
      policy: undefined,
    };
    replica.accept(request, reply, SENT, SENT);
    expect([replica.isBlocked, replica.before?.epoch]).toEqual([isBlocked, isBlocked ? undefined : 1]);
    expect(replica.fencingToken).toBe('');
  }
});

test('workers that acted alone on the last known view return, also after other gateways have made a new one', () => {
  const { replica, sync, viewStore } = aGateway(true, 'continue');
  const workersConfirm = (): void => replica.confirm(snapshotOf(replica).viewId);
  workersConfirm();
  sync();
  sync();
  for (let lease = 2; lease < 5; lease += 1) {
    const asked = { mono: lease * LEASE_MS, wall: lease * LEASE_MS };
    replica.failed(asked, { since: asked.mono });
  }
  expect([replica.isEffective, replica.modeAt(4 * LEASE_MS, 4 * LEASE_MS)]).toEqual([true, 'degraded']);

  const { agreed } = replica;
  const view = { ...agreed, epoch: agreed.epoch + 1, id: 'of the others' };
  expect(
    viewStore.propose({ replica: 'g2', base: agreed.id, view, events: [] }, 'generation', LEASE_MS),
  ).toBe(true);
  // Workers used to confirm a view that only this gateway had: it did not count, and the gateway acted alone for good.
  for (let i = 0; i < 4; i += 1) {
    sync();
    workersConfirm();
  }
  expect([replica.isAway, snapshotOf(replica).viewId, replica.modeAt(0, 0)]).toEqual([
    false,
    view.id,
    'leased',
  ]);
});
