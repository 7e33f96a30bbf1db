import type { Binding, Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { BindingPage, BindingQuery } from '../core/ports.ts';
import type { AgreedView, PoolEvent } from '../core/view/agreed-view.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { ConfigParts } from '../core/view/config-parts.ts';
import type { LastSync } from '../core/view/last-sync.ts';
import type { Policy } from '../core/view/policy.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { LoggedEvent } from '../core/view/view-store.ts';

/** The agreed state of a pool, and the way to change it. */
export interface PoolOperations {
  readonly routingState: RoutingState;
  /** The policy, reports and replicas from the last sync with the view store. */
  readonly lastSync: Pick<LastSync, 'policy' | 'reports' | 'replicas'>;
  readonly agreed: AgreedView;
  /** The pool's part of this gateway's configuration. */
  readonly parts: ConfigParts;
  /** Every live replica acts on {@link agreed}. */
  readonly isEffective: boolean;
  readonly isStoreAway: boolean;
  /** Milliseconds; infinite if the gateway has no peers. */
  readonly leaseRemaining: number;
  /** Milliseconds since the Unix epoch, by the store's clock. */
  readonly storeNow: number;
  /**
   * Writes an operator's decision. `change` runs again if another change came first;
   * its errors are passed on.
   *
   * @throws StoreUnavailable
   */
  commitPolicy(change: (policy: Policy) => Policy, events: readonly PoolEvent[]): Promise<Policy>;
  /** The event log, newest first. @throws StoreUnavailable */
  events(limit: number): Promise<readonly LoggedEvent[]>;
  /** Registers a listener for every change of the routing state; returns a function that removes it. */
  onChange(listener: () => void): () => void;
  /** Syncs with the view store now. Never rejects. */
  renew(): Promise<void>;
}

/** The bindings in the store. All methods reject with `StoreUnavailable` while it is away. */
export interface PoolBindings {
  /** The number of bindings in this gateway's cache. */
  readonly cached: number;
  list(query: BindingQuery): Promise<BindingPage>;
  lookup(names: readonly Name[]): Promise<Binding | undefined>;
  /** @throws StaleView if the fencing token is not that of the view in effect; then nothing has changed */
  rebind(
    names: readonly Name[],
    expected: Binding,
    proposal: Placement,
    fencingToken: string,
  ): Promise<{ readonly binding: Binding }>;
}

/** The parts of a pool that the admin API needs; each value is read on access. */
export interface PoolSource {
  readonly name: string;
  readonly mode: 'failover' | 'sticky';
  readonly operations: PoolOperations;
  readonly bindings: PoolBindings;
  /** Milliseconds from an agent's last request to the end of the binding. */
  readonly idleLifetimeMs: number;
  /** The IANA time zone for a time of day without a zone. */
  readonly zone: string;
  url(instance: InstanceId): string;
  inFlight(instance: InstanceId): number;
  queued(instance: InstanceId): number;
  boundAgents(instance: InstanceId): number;
  parked(): number;
  claimTrouble(): ClaimTrouble | undefined;
}
