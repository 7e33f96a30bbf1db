import type { SyncRequest } from '../../src/core/agreement/ledger.ts';

/** What a replica says that knows nothing and has seen nothing, but for what is given. */
export function request(replica: string, given: Partial<SyncRequest> = {}): SyncRequest {
  return {
    replica,
    epoch: 0,
    viewId: '',
    held: false,
    restored: '',
    opinion: undefined,
    ballotsKnown: 0,
    policyKnown: 0,
    ...given,
  };
}
