import type { SyncRequest } from '../../src/core/view/view-store.ts';

let seq = 0;

/** A number that is greater than all given out before. */
export function nextSeq(): number {
  seq += 1;
  return seq;
}

/** What a replica says that knows nothing and has seen nothing, but for what is given. */
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
