import { describe, expect, test } from 'vitest';
import { afterSync, NO_SYNC, storeClock } from '../../../../src/core/view/last-sync.ts';
import type { Policy } from '../../../../src/core/view/policy.ts';
import { NO_POLICY } from '../../../../src/core/view/policy.ts';
import type { SyncReply } from '../../../../src/core/view/view-store.ts';
import { aReplica } from '../../../support/replicas.ts';

const REPORTS = [{ replica: 'g2', report: undefined }];

function aReply(given: Partial<SyncReply> = {}): SyncReply {
  return {
    now: 1_000_000,
    storeGeneration: 'first',
    open: true,
    granted: true,
    keeps: false,
    epoch: 0,
    viewId: '',
    effective: false,
    fencingToken: '',
    view: undefined,
    wantsState: false,
    reportsVersion: 7,
    reports: undefined,
    replicas: 2,
    policy: undefined,
    ...given,
  };
}

const policyOf = (version: number): Policy => ({ ...NO_POLICY, version });

describe('the last sync of a replica', () => {
  const before = afterSync(NO_SYNC, aReply({ reports: REPORTS, policy: policyOf(3) }), 50);

  test('keeps what an answer leaves out', () => {
    expect(afterSync(before, aReply(), 60)).toEqual({ ...before, askedAt: 60 });
  });

  test('does not keep the version of reports into another generation, which counts from the start again', () => {
    const { reports, reportsVersion } = afterSync(before, aReply({ storeGeneration: 'second' }), 60);
    expect({ reports, reportsVersion }).toEqual({
      reports: REPORTS,
      reportsVersion: 0,
    });
  });

  test.each([
    ['an open view store is believed', true, 2, 2],
    ['one that may have lost the last policy is not, with an older one', false, 2, 3],
    ['one that may have lost the last policy is, with a newer one', false, 4, 4],
  ])('%s', (_, open, told, holds) => {
    expect(afterSync(before, aReply({ open, policy: policyOf(told) }), 60).policy.version).toBe(holds);
  });
});

test("the store's clock runs from the moment at which it was asked for", () => {
  const replica = aReplica({ leaseMs: 1_000 });
  const sent = { mono: 50, wall: 9_000 };
  replica.accept(replica.request(sent), aReply(), sent, sent);
  expect(storeClock(replica.lastSync, 80)).toBe(1_000_030);
});
