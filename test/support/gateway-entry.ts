import type { GatewayEntry } from '../../src/core/gateways.ts';

/** The entry of a gateway that serves one pool. */
export function entryOf(replica: string, state: GatewayEntry['state'] = 'Running'): GatewayEntry {
  return {
    replica,
    version: '0.1.0',
    state,
    workers: 2,
    startedAt: '2026-11-29T07:00:00.000Z',
    admin: null,
    pools: [
      {
        pool: 'ici',
        standing: 'leased',
        leaseRemainingMs: 2_500,
        abstains: false,
        down: [],
        cutOff: [],
        differences: [],
      },
    ],
  };
}
