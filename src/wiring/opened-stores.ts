import type { GatewayRegistry } from '../core/gateways.ts';
import type { AffinityStore, ViewStoreClient } from '../core/ports.ts';

export interface Stores {
  /** Other gateways may use the same stores. */
  readonly isShared: boolean;
  open(pool: string): AffinityStore;
  viewStore(pool: string): ViewStoreClient;
  /** Begins an operation on bindings at the end of this turn, together with others; missing if that gains nothing. */
  readonly together?: <T>(begin: () => Promise<T>) => Promise<T>;
  /** Where the gateways of these stores are listed; `undefined` if no other gateway can use them. */
  readonly gateways: GatewayRegistry | undefined;
  /** What the store is, with its version. Rejects with `StoreUnavailable`. */
  version(): Promise<string>;
  close(): Promise<void>;
}

export interface StoreEvents {
  /** The connection for commands was lost. */
  onDown(detail: string): void;
  /** The connection for news of moves was lost or restored. While it is down, cached bindings are not trusted. */
  onHearing(state: 'up' | 'down', detail: string): void;
}
