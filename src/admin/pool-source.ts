import type { BalancerName } from '../core/balancers.ts';
import type { Binding, Proposal } from '../core/binding.ts';
import type { ExplainQuestion, Explanation } from '../core/explanation.ts';
import type { RelaysStatus } from '../core/gateway-status.ts';
import type { FileProblem } from '../core/group-file.ts';
import type { GroupsThere } from '../core/groups.ts';
import type { PoolHistory } from '../core/history/pool-history.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import type { BindingPage, BindingQuery, EventLog, ListedBinding } from '../core/ports.ts';
import type { Conclusion } from '../core/probes/advice.ts';
import type { InstanceEvidence } from '../core/probes/evidence.ts';
import type { SeenNames, SourceShare } from '../core/seen-names.ts';
import type { AgreedView, PoolEvent } from '../core/view/agreed-view.ts';
import type { ClaimTrouble } from '../core/view/claim-watch.ts';
import type { ConfigParts } from '../core/view/config-parts.ts';
import type { LastSync } from '../core/view/last-sync.ts';
import type { Policy } from '../core/view/policy.ts';
import type { RoutingState } from '../core/view/routing-state.ts';

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
   * @param onView the id of the only view on which it may be written
   * @throws StoreUnavailable
   * @throws ViewChanged
   */
  commitPolicy(
    change: (policy: Policy) => Policy,
    events: readonly PoolEvent[],
    onView?: string,
  ): Promise<Policy>;
  readonly log: EventLog;
  /** Registers a listener for every change of the routing state; returns a function that removes it. */
  onChange(listener: () => void): () => void;
  /** Syncs with the view store now. Never rejects. */
  renew(): Promise<void>;
}

/** The bindings in the store. All methods reject with `StoreUnavailable` while it is away. */
export interface PoolBindings {
  /** The number of bindings in this gateway's cache. */
  readonly cached: number;
  /** @throws ActRefused while too many are read */
  list(query: BindingQuery): Promise<BindingPage>;
  /** The other names that lead to the root; at least the latest ones. */
  aliasesOf(root: Name): Promise<readonly Name[]>;
  /** The binding of the first of these names that has one. Does not restart its lifetime. */
  find(names: readonly Name[]): Promise<ListedBinding | undefined>;
  /** @throws StaleView if the fencing token is not that of the view in effect; then nothing has changed */
  rebind(
    names: readonly Name[],
    expected: Binding,
    proposal: Proposal,
    fencingToken: string,
  ): Promise<{ readonly binding: Binding }>;
  /**
   * Ends the binding if it is still the expected one. Resolves to the binding that holds afterwards.
   *
   * @throws StaleView as for {@link rebind}
   */
  release(expected: Binding, fencingToken: string): Promise<Binding | undefined>;
}

/** The last probe of an instance by this gateway. */
export interface LastProbe {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly passed: boolean;
  /** Why it failed. */
  readonly reason?: string | undefined;
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
  readonly balancer: BalancerName;
  /** The most agents that each instance should have, as far as they are limited. */
  readonly maxAgents: ReadonlyMap<InstanceId, number>;
  /** Whether the gateway goes on while the store is away. */
  readonly onStoreLoss: 'continue' | 'refuse';
  /** Log-ons and log-offs are configured. */
  readonly knowsLogOffs: boolean;
  /** Agents move as they log on again, by the configuration. */
  readonly rebalancesAlways: boolean;
  /** The group of a user by the file and the patterns of `groups`. */
  groupOf(user: string): string | undefined;
  /** Why the changed file of groups is not used; `undefined` if it is. */
  readonly groupFileProblem: FileProblem | undefined;
  /** The groups at the instance; `undefined` if no agent belongs to a group, or it is not known yet. */
  groupsAt(instance: InstanceId): GroupsThere | undefined;
  url(instance: InstanceId): string;
  lastProbe(instance: InstanceId): LastProbe | undefined;
  /** What the probes of the last days have shown. */
  readonly probes: { readonly conclusion: Conclusion; of(instance: InstanceId): InstanceEvidence };
  /** Since when the verdict on the instance is so, in milliseconds since the Unix epoch; `undefined` if not known. */
  healthSince(instance: InstanceId): number | undefined;
  /** Ended requests since the gateway started, and those of them that were answered with a status from 500. */
  traffic(): { readonly requests: number; readonly faults: number };
  /** The requests of the last 15 minutes that went to the instance through peers; `undefined` without `peers`. */
  relayed(instance: InstanceId): Pick<RelaysStatus, 'sent' | 'taken'> | undefined;
  /** Where the requests of the last hour named their agents. */
  identitySources(): readonly SourceShare[];
  readonly history: Pick<PoolHistory, 'part'>;
  /** How requests named their agents in the last hour, at each worker; `undefined` if it does not answer. */
  seenNames(): Promise<readonly (SeenNames | undefined)[]>;
  /**
   * How a worker would route a request now. Nothing is changed by it.
   *
   * @throws ActRefused if no worker answers
   */
  explain(question: Omit<ExplainQuestion, 'pool'>): Promise<Explanation>;
  inFlight(instance: InstanceId): number;
  queued(instance: InstanceId): number;
  boundAgents(instance: InstanceId): number;
  parked(): number;
  claimTrouble(): ClaimTrouble | undefined;
}
