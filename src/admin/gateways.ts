import type { PoolStatus } from '../core/gateway-status.ts';
import type { GatewayEntry, GatewayLine, GatewayRegistry } from '../core/gateways.ts';
import { isGatewayEntry, listGateways } from '../core/gateways.ts';
import { StoreUnavailable } from '../core/ports.ts';

/** The gateways that share a store. */
export interface GatewayListing {
  readonly gateways: readonly GatewayLine[];
  /** The store is away, so only the gateway that answers is listed. */
  readonly partial: boolean;
  /** Why the list is partial; `null` if it is whole. */
  readonly reason: string | null;
}

/**
 * All gateways of the store. While the store is away, the answer holds this gateway alone and says so: its own state is
 * what an operator needs most then, and a refusal would hide it.
 *
 * @param registry `undefined` if no other gateway can use the store
 */
export async function gatewayListing(
  own: GatewayEntry,
  registry: GatewayRegistry | undefined,
  pools: readonly PoolStatus[],
): Promise<GatewayListing> {
  try {
    const seen = (await registry?.list()) ?? [];
    // An entry that cannot be read belongs to another release; the view store may know that gateway.
    const valid = seen.flatMap(({ replica, entry, seenAgoMs }) =>
      isGatewayEntry(entry) && entry.replica === replica ? [{ entry, seenAgoMs }] : [],
    );
    return { gateways: listGateways(own, valid, pools), partial: false, reason: null };
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    const reason = `the store is away: ${error.message}`;
    return { gateways: listGateways(own, [], []), partial: true, reason };
  }
}
