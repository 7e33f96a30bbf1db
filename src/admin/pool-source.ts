import type { Binding, Placement } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { BindingPage, BindingQuery } from '../core/ports.ts';
import type { AgreedView, PoolEvent } from '../core/view/agreed-view.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { LastSync } from '../core/view/last-sync.ts';
import type { Parts } from '../core/view/parts.ts';
import type { Policy } from '../core/view/policy.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { LoggedEvent } from '../core/view/view-store.ts';

/** What is agreed about a pool, and the way to change it. */
export interface PoolOperations {
  readonly routingState: RoutingState;
  /** What the gateways have in common, as far as it is known here. */
  readonly lastSync: Pick<LastSync, 'policy' | 'reports' | 'replicas'>;
  readonly agreed: AgreedView;
  /** What the configuration of this gateway says. */
  readonly parts: Parts;
  /** Every live replica acts on {@link agreed}. */
  readonly isEffective: boolean;
  readonly isStoreAway: boolean;
  /** Milliseconds; infinite where the gateway is alone. */
  readonly leaseRemaining: number;
  /** Milliseconds since the Unix epoch, by the store's clock. */
  readonly storeNow: number;
  /**
   * Writes what an operator decided. `change` may be called again where somebody
   * else's act came first; what it throws is passed on.
   *
   * @throws StoreUnavailable
   */
  commitPolicy(change: (policy: Policy) => Policy, events: readonly PoolEvent[]): Promise<Policy>;
  /** The event log, the newest first. @throws StoreUnavailable */
  events(limit: number): Promise<readonly LoggedEvent[]>;
  /** Calls back after every change of what may be acted on; returns the way to stop that. */
  onChange(listener: () => void): () => void;
  /** Asks the ledger now. Never rejects. */
  renew(): Promise<void>;
}

/** Who is bound where, as the store has it. All reject with `StoreUnavailable` while it is away. */
export interface PoolBindings {
  /** Bindings that this gateway knows without asking. */
  readonly cached: number;
  list(query: BindingQuery): Promise<BindingPage>;
  lookup(names: readonly Name[]): Promise<Binding | undefined>;
  /** @throws StaleView where `fence` does not stand for the view in effect; nothing was done then */
  rebind(
    names: readonly Name[],
    expected: Binding,
    proposal: Placement,
    fencingToken: string,
  ): Promise<{ readonly binding: Binding }>;
}

/** What the control plane needs of a pool; read at the moment it is asked for. */
export interface PoolSource {
  readonly name: string;
  readonly mode: 'failover' | 'sticky';
  readonly operations: PoolOperations;
  readonly bindings: PoolBindings;
  /** Milliseconds from an agent's last request to the end of his binding. */
  readonly idleLifetimeMs: number;
  /** IANA time zone for a time of day that comes without one. */
  readonly zone: string;
  url(instance: InstanceId): string;
  inFlight(instance: InstanceId): number;
  queued(instance: InstanceId): number;
  boundAgents(instance: InstanceId): number;
  parked(): number;
  claimTrouble(): ClaimTrouble | undefined;
}
