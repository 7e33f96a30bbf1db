import type { SyncRequest } from '../../src/core/view/view-store.ts';

let seq = 0;

/** A number greater than all earlier ones. */
export function nextSeq(): number {
  seq += 1;
  return seq;
}

/** The request of a replica without any knowledge, except for the given fields. */
export function request(replica: string, given: Partial<SyncRequest> = {}): SyncRequest {
  return {
    replica,
    seq: nextSeq(),
    epoch: 0,
    viewId: '',
    held: false,
    restored: '',
    report: undefined,
    reportsKnown: 0,
    policyKnown: 0,
    ...given,
  };
}
