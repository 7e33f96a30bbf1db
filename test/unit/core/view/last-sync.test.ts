import { describe, expect, test } from 'vitest';
import { hear, NOTHING_HEARD, storeClock } from '../../../../src/core/view/last-sync.ts';
import type { SyncReply } from '../../../../src/core/view/view-store.ts';
import type { Policy } from '../../../../src/core/view/policy.ts';
import { NO_POLICY } from '../../../../src/core/view/policy.ts';
import { Replica } from '../../../../src/core/view/replica.ts';

const BALLOTS = [{ replica: 'g2', opinion: undefined }];

function aReply(given: Partial<SyncReply> = {}): SyncReply {
  return {
    now: 1_000_000,
    life: 'first',
    open: true,
    granted: true,
    keeps: false,
    epoch: 0,
    viewId: '',
    effective: false,
    fence: '',
    view: undefined,
    wantsState: false,
    ballotsState: 7,
    ballots: undefined,
    replicas: 2,
    policy: undefined,
    ...given,
  };
}

const policyOf = (version: number): Policy => ({ ...NO_POLICY, version });

describe('what a replica has heard of the ledger', () => {
  const before = hear(NOTHING_HEARD, aReply({ ballots: BALLOTS, policy: policyOf(3) }), 50);

  test('stays where an answer leaves it out', () => {
    expect(hear(before, aReply(), 60)).toEqual({ ...before, askedAt: 60 });
  });

  test('does not keep the count of ballots into another life, which may count the same anew', () => {
    const { ballots, ballotsState } = hear(before, aReply({ life: 'second' }), 60);
    expect({ ballots, ballotsState }).toEqual({ ballots: BALLOTS, ballotsState: 0 });
  });

  test.each([
    ['an open ledger is believed', true, 2, 2],
    ['one that may have lost the last policy is not, with an older one', false, 2, 3],
    ['one that may have lost the last policy is, with a newer one', false, 4, 4],
  ])('%s', (_, open, told, holds) => {
    expect(hear(before, aReply({ open, policy: policyOf(told) }), 60).policy.version).toBe(holds);
  });
});

test("the store's clock runs from the moment at which it was asked for", () => {
  const replica = new Replica({
    id: 'g1',
    pool: 'ici',
    rules: { mode: 'sticky', quorum: 'majority', quarantines: false, countsLives: false, instances: [] },
    weights: new Map(),
    leaseMs: 1_000,
    onStoreLoss: 'continue',
    awayMs: 0,
    cutOffMs: 0,
    newId: () => 'v',
  });
  const sent = { mono: 50, wall: 9_000 };
  replica.accept(replica.request(sent), aReply(), sent);
  expect(storeClock(replica.heard, 80)).toBe(1_000_030);
});
